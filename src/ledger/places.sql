-- How far a part of the service itself has got with the log: it is done with all up to `seq`.
CREATE TABLE places (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT;
