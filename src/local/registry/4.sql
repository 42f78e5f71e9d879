-- Where an image's data is when it is in no store of ours: Images API v1 can
-- register data that stays at a URL.
ALTER TABLE images ADD COLUMN location TEXT;
