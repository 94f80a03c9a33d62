"""Runs in databases of both kinds."""

from tests.servers.databases import database, database_url

__all__ = ["database", "database_url"]
