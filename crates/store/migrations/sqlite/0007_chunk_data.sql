CREATE TABLE chunk_data (
    tenant BLOB NOT NULL,
    chunk BLOB NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    -- Last, so that what is before it is read without it.
    data BLOB NOT NULL,
    PRIMARY KEY (tenant, chunk, generation, attempt)
) STRICT;
