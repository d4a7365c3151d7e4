-- How far each session has heard: everything up to `until` that happened since `begun` is in the log, by WhatsApp's clock. It holds for one
-- link. Times are milliseconds since the epoch.
CREATE TABLE hearing (
    session   TEXT PRIMARY KEY,
    linked_at INTEGER NOT NULL,
    begun     INTEGER NOT NULL,
    until     INTEGER NOT NULL
) STRICT;
