CREATE TABLE IF NOT EXISTS uploads (
    region TEXT COLLATE "C" NOT NULL,
    upload BYTEA NOT NULL,
    tenant BYTEA NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    started_at INT8 NOT NULL,
    deadline INT8 NOT NULL,
    -- How many bytes have come, in how many calls; the last ones are in tail until they fill a chunk.
    at INT8 NOT NULL DEFAULT 0,
    transfers INT8 NOT NULL DEFAULT 0,
    tail BYTEA NOT NULL DEFAULT '',
    hash_state BYTEA NOT NULL DEFAULT '',
    -- The last call, to know it again when it is repeated.
    last_from INT8 NOT NULL DEFAULT 0,
    last_digest BYTEA NOT NULL DEFAULT '',
    -- The version it became.
    outcome INT8,
    PRIMARY KEY (region, upload),
    CONSTRAINT uploads_by_id UNIQUE (upload)
);
