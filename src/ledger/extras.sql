-- What a send says beside its text, as JSON; NULL for a plain text. It goes when the text goes.
ALTER TABLE sends ADD COLUMN extras TEXT;
