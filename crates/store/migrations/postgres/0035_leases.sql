CREATE TABLE IF NOT EXISTS leases (
    upload BYTEA NOT NULL,
    chunk BYTEA NOT NULL,
    tenant BYTEA NOT NULL,
    generation INT8 NOT NULL,
    PRIMARY KEY (upload, chunk)
);
