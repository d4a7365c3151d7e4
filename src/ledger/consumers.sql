-- Who is given the events of the log: a webhook, a bridge. Each has a place of its own in the log: up to `cursor` it has looked at
-- every event, and each that it wants is among the deliveries until it is done with. `settings` is JSON that only the consumer
-- itself understands; it may hold secrets. The counts stand here so that no reader has to count rows. Times are milliseconds since
-- the epoch.
CREATE TABLE consumers (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL,
    settings      TEXT NOT NULL,
    off_because   TEXT,
    cursor        INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    waiting       INTEGER NOT NULL DEFAULT 0,
    dead          INTEGER NOT NULL DEFAULT 0,
    delivered     INTEGER NOT NULL DEFAULT 0,
    failed        INTEGER NOT NULL DEFAULT 0,
    missed        INTEGER NOT NULL DEFAULT 0,
    delivered_at  INTEGER,
    failed_at     INTEGER,
    failure       TEXT
) STRICT;

-- What is not delivered yet, or could not be. Of one lane, which is one chat, one delivery after another has its turn: `next_at` is
-- when that is, and the ones behind it have none. `due_at` is when the schedule has the next attempt; another one may come sooner.
-- `step` is how far a consumer has got that does more than one thing with an event.
CREATE TABLE deliveries (
    consumer  INTEGER NOT NULL,
    state     TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    lane      INTEGER NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    step      INTEGER NOT NULL DEFAULT 0,
    next_at   INTEGER,
    due_at    INTEGER NOT NULL,
    failed_at INTEGER,
    failure   TEXT,
    PRIMARY KEY (consumer, state, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_by_lane ON deliveries (consumer, lane, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_by_turn ON deliveries (consumer, next_at, seq) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_by_event ON deliveries (seq);

-- Up to which event the rows are deleted too: a consumer that comes from before it has missed all of them.
ALTER TABLE events_forgotten ADD COLUMN rows_up_to INTEGER NOT NULL DEFAULT 0;
