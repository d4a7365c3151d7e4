-- Lists by state and by session, and the removal of texts, each read only the rows that they answer with. Without these an
-- answer to GET /messages?state=… on a million rows goes through all of them. `seq` is the last column of every index.
CREATE INDEX sends_by_state ON sends (state);
CREATE INDEX sends_by_session ON sends (session);
CREATE INDEX sends_by_session_and_state ON sends (session, state);
CREATE INDEX sends_with_text ON sends (changed_at) WHERE body IS NOT NULL AND state NOT IN ('queued', 'handed');
-- The service that has the file open: a copy that was made before its start does not know it.
CREATE TABLE opened (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    by   BLOB NOT NULL
) STRICT;
