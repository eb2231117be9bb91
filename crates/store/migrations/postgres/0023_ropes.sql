CREATE TABLE IF NOT EXISTS ropes (
    tenant BYTEA NOT NULL,
    rope BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    size INT8 NOT NULL CHECK (size > 0),
    PRIMARY KEY (tenant, rope),
    CONSTRAINT ropes_by_hash UNIQUE (tenant, hash)
);
