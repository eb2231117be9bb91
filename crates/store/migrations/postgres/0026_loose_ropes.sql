-- Ropes that may have lost their last version, and pieces without a rope: of uploads that are over.
CREATE TABLE IF NOT EXISTS loose_ropes (
    tenant BYTEA NOT NULL,
    rope BYTEA NOT NULL,
    PRIMARY KEY (tenant, rope)
);
