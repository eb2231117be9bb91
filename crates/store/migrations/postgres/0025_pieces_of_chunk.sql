CREATE INDEX IF NOT EXISTS pieces_of_chunk ON pieces (tenant, chunk);
