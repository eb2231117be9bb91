CREATE TABLE IF NOT EXISTS pieces (
    tenant BYTEA NOT NULL,
    rope BYTEA NOT NULL,
    at INT8 NOT NULL CHECK (at >= 0),
    chunk BYTEA NOT NULL,
    length INT8 NOT NULL CHECK (length > 0),
    PRIMARY KEY (tenant, rope, at)
);
