"""The migrations make what the tables declare, and the constant that spares us Alembic names the last of them."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

import mediary.media.catalog
import mediary.usage.ledger  # noqa: F401 - it declares its table
from mediary.database.engine import Database
from mediary.database.metadata import HEAD, metadata
from mediary.database.migrations import config


def test_the_constant_is_the_last_migration():
    assert ScriptDirectory.from_config(config()).get_heads() == [HEAD]


async def test_the_migrations_make_what_the_tables_declare(database: Database):
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_constraints_have_the_names_that_the_tables_give_them(database: Database):
    """The comparison above does not look at them."""

    def names(connection: Connection) -> set[str | None]:
        found = inspect(connection)
        return {
            constraint["name"]
            for table in metadata.tables
            for constraint in (*found.get_check_constraints(table), found.get_pk_constraint(table))
        }

    declared = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if not constraint.__visit_name__.startswith("unique")
    }
    async with database.connect() as connection:
        assert await connection.run_sync(names) == declared
