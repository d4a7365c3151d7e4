-- What the clocks of the machine said when the service last looked and they were right, in milliseconds.
CREATE TABLE stamp (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    boot        TEXT NOT NULL,
    wall        INTEGER NOT NULL,
    since_boot  INTEGER NOT NULL,
    put_forward INTEGER NOT NULL,
    put_at      INTEGER NOT NULL
) STRICT;
