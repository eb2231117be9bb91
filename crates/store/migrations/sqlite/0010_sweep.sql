-- How far the walk through the chunk tier for bytes without a row has come, and when it goes on.
CREATE TABLE sweep (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    after BLOB,
    due_at INTEGER NOT NULL
) STRICT;
