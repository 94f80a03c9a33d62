"""The tests here run on SQLite and on PostgreSQL."""

from tests.servers.databases import database, database_url

__all__ = ["database", "database_url"]
