"""The database: engine, metadata and migrations."""
