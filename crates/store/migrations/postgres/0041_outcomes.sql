-- Calls whose transaction was committed, for those who were not told.
CREATE TABLE IF NOT EXISTS outcomes (
    call BYTEA NOT NULL PRIMARY KEY,
    at INT8 NOT NULL
);
