-- Who this store is, drawn once, and the store that it is a copy of.
CREATE TABLE identity (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    store BLOB NOT NULL CHECK (length(store) = 16),
    copy_of BLOB CHECK (length(copy_of) = 16)
) STRICT;

INSERT INTO identity VALUES (1, randomblob(16), NULL);
