-- Who this store is, drawn once by whoever asks first, and the store that it is a copy of.
CREATE TABLE IF NOT EXISTS identity (
    id INT8 NOT NULL PRIMARY KEY CHECK (id = 1),
    store BYTEA NOT NULL CHECK (length(store) = 16),
    copy_of BYTEA CHECK (length(copy_of) = 16)
);
