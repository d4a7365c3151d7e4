-- What happened in the accounts, in the order in which it was written down. Rows are only appended. What is personal of a row is
-- forgotten first; the row is deleted later, and keeps the same event from being written again until then. `once` is a hash.
-- Times are milliseconds since the epoch.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    session     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    once        BLOB NOT NULL,
    chat        TEXT,
    account     TEXT,
    account_lid TEXT,
    happened_at INTEGER NOT NULL,
    written_at  INTEGER NOT NULL,
    is_late     INTEGER NOT NULL,
    source      TEXT,
    data        TEXT
) STRICT;

-- What one session hears twice is one event.
CREATE UNIQUE INDEX events_once ON events (session, once);

-- How far the log was forgotten: events up to this one have no `data`.
CREATE TABLE events_forgotten (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    up_to INTEGER NOT NULL
) STRICT;
INSERT INTO events_forgotten (only, up_to) VALUES (1, 0);
