-- Every send, in the order in which it was accepted. Times are milliseconds since the epoch.
CREATE TABLE sends (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    key             TEXT NOT NULL UNIQUE,
    session         TEXT NOT NULL,
    cliente_id      TEXT NOT NULL,
    account         TEXT,
    recipient       TEXT NOT NULL,
    body            TEXT,
    is_durable      INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN
                        ('queued', 'handed', 'sent', 'delivered', 'read', 'failed', 'unknown', 'cancelled')),
    idempotency_key TEXT,
    fingerprint     BLOB NOT NULL,
    adapter         TEXT,
    wa_key          TEXT,
    message_id      TEXT,
    is_taken        INTEGER NOT NULL,
    ack             INTEGER NOT NULL,
    failure         TEXT,
    detail          TEXT,
    queued_at       INTEGER NOT NULL,
    handed_at       INTEGER,
    sent_at         INTEGER,
    delivered_at    INTEGER,
    read_at         INTEGER,
    ended_at        INTEGER,
    changed_at      INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX sends_by_idempotency_key ON sends (session, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX sends_by_fingerprint ON sends (session, fingerprint);
CREATE INDEX sends_by_wa_key ON sends (wa_key) WHERE wa_key IS NOT NULL;
CREATE INDEX sends_by_message_id ON sends (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX sends_that_are_open ON sends (session, seq) WHERE state IN ('queued', 'handed');
CREATE INDEX sends_by_change ON sends (changed_at);
