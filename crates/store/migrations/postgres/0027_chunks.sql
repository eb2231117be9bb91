-- Generations are random numbers of 63 bits, drawn by whoever makes the row: a sequence would be one row that all servers
-- of all regions wait for, and that one comes twice for the same chunk while somebody still knows the first is as good as
-- impossible.
CREATE TABLE IF NOT EXISTS chunks (
    tenant BYTEA NOT NULL,
    chunk BYTEA NOT NULL,
    generation INT8 NOT NULL CHECK (generation > 0),
    state INT8 NOT NULL CHECK (state IN (0, 1, 2)),
    length INT8 NOT NULL CHECK (length > 0),
    place BYTEA,
    data BYTEA,
    PRIMARY KEY (tenant, chunk),
    CHECK (state <> 1 OR (place IS NULL) <> (data IS NULL))
);
