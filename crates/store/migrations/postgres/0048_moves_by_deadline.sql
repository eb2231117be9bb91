CREATE INDEX IF NOT EXISTS moves_by_deadline ON moves (deadline);
