-- Lives of chunks that are over, until their bytes are erased. They have no row in chunks any more.
CREATE TABLE IF NOT EXISTS condemned (
    generation INT8 NOT NULL PRIMARY KEY,
    tenant BYTEA NOT NULL,
    chunk BYTEA NOT NULL,
    length INT8 NOT NULL CHECK (length > 0),
    place BYTEA NOT NULL,
    -- When it was handed out to be erased.
    condemned_at INT8 NOT NULL
);
