CREATE TABLE IF NOT EXISTS tenants (
    tenant BYTEA NOT NULL PRIMARY KEY,
    label TEXT NOT NULL CHECK (label <> ''),
    version INT8 NOT NULL CHECK (version > 0),
    region TEXT COLLATE "C" NOT NULL,
    keep_versions INT8 CHECK (keep_versions >= 0),
    keep_versions_for INT8 CHECK (keep_versions_for >= 0)
);
