CREATE TABLE IF NOT EXISTS versions (
    tenant BYTEA NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    version INT8 NOT NULL CHECK (version > 0),
    rope BYTEA,
    hash BYTEA NOT NULL,
    size INT8 NOT NULL CHECK (size >= 0),
    content_type TEXT NOT NULL,
    created_at INT8 NOT NULL,
    modified_at INT8 NOT NULL,
    metadata TEXT NOT NULL,
    deleted_at INT8,
    -- The call that made it, to be known again when its answer was lost.
    call BYTEA,
    PRIMARY KEY (tenant, path, version)
);
