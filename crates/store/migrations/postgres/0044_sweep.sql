-- How far the walk through the chunk tier for bytes without a row has come, and when it goes on.
CREATE TABLE IF NOT EXISTS sweep (
    id INT8 NOT NULL PRIMARY KEY CHECK (id = 1),
    after BYTEA,
    due_at INT8 NOT NULL
);
