-- How a host shows its tenant. The origins are one text, each on a line of its own.

ALTER TABLE vhosts ADD COLUMN login INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vhosts ADD COLUMN cors TEXT NOT NULL DEFAULT '';
ALTER TABLE vhosts ADD COLUMN spa INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vhosts ADD COLUMN index_name TEXT NOT NULL DEFAULT '';
ALTER TABLE vhosts ADD COLUMN error_page TEXT NOT NULL DEFAULT '';
