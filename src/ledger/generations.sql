-- In which generation of the profile a send was handed over: a copy of the profile says up to which generation it has all.
ALTER TABLE sends ADD COLUMN generation INTEGER;
CREATE INDEX sends_by_generation ON sends (session, generation, recipient) WHERE handed_at IS NOT NULL;

-- With whom the page of a session has to begin new Signal sessions, since its profile is older than what they have seen.
-- `recipient` is a number, or '' for the account's own devices, or '*' for everybody, or '?' for everybody if the page can.
-- Where everybody is in it, a row with `reset_at` says that it is done.
CREATE TABLE stale (
    session     TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    reset_at    INTEGER,
    PRIMARY KEY (session, recipient)
) STRICT, WITHOUT ROWID;

-- The highest generation of the hand-overs of a session that are deleted by now, -1 for those that have none.
CREATE TABLE forgotten (
    session     TEXT PRIMARY KEY,
    generation  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
