-- Bytes of the chunk tier `db`. No place is used twice: two that write one life of a chunk at once are two attempts.
CREATE TABLE IF NOT EXISTS chunk_data (
    tenant BYTEA NOT NULL,
    chunk BYTEA NOT NULL,
    generation INT8 NOT NULL,
    attempt INT8 NOT NULL,
    written_at INT8 NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (tenant, chunk, generation, attempt)
);
