-- What came in from persons of whom the LID alone was known. A person who is only quoted in a message looks the same here, and is left out by
-- the reader.
CREATE INDEX events_without_number ON events (session, seq)
    WHERE data IS NOT NULL AND kind IN ('message', 'message.waiting') AND instr(data, '"from":{"phone":null') > 0;
