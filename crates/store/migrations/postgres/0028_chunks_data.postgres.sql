-- What is a chunk is packed already or does not pack; the attempt costs three times the rest.
ALTER TABLE chunks ALTER COLUMN data SET STORAGE EXTERNAL;
