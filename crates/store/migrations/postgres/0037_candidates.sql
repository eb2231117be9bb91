-- Chunks that may be unreferenced. By chunk first: servers begin at a random one, so that they don't meet.
CREATE TABLE IF NOT EXISTS candidates (
    chunk BYTEA NOT NULL,
    tenant BYTEA NOT NULL,
    PRIMARY KEY (chunk, tenant)
);
