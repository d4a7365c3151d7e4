-- Whose event a row is, by hashes of both addresses: it tells it from one of another person under the same id. NULL where it is not known,
-- as in the rows of earlier versions.
ALTER TABLE events ADD COLUMN who BLOB;
