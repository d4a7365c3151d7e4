-- Up to which event no consumer is still to be given anything: events up to this one have no `data`. Between it and `up_to` only those have
-- `data` that are among the deliveries.
ALTER TABLE events_forgotten ADD COLUMN owed_up_to INTEGER NOT NULL DEFAULT 0;
UPDATE events_forgotten SET owed_up_to = up_to;
