-- The last number of paths whose versions are all gone: the next is higher.
CREATE TABLE IF NOT EXISTS last_versions (
    tenant BYTEA NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    version INT8 NOT NULL CHECK (version > 0),
    PRIMARY KEY (tenant, path)
);
