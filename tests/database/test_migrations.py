"""The migrations make what the tables declare, and the constant that spares us Alembic names the last of them."""

import json
import logging
from collections.abc import Callable

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Constraint, inspect, text
from tests.servers.postgres import execute, new_database

import mediary.cookies.jar
import mediary.database.names
import mediary.media.catalog
import mediary.memory.tables
import mediary.runs.tables
import mediary.shares.tables
import mediary.uploads.records.tables
import mediary.usage.ledger  # noqa: F401 - they declare their tables
from mediary.database.engine import Database, _parse
from mediary.database.metadata import HEAD, metadata
from mediary.database.migrations import config
from mediary.media.catalog import Catalog
from mediary.media.item import MediaItem, SearchQuery, item_id

SEARCH_INDEXES = (
    "media_search",
    "media_vocabulary",
    "ix_media_items_search_text",
    "memory_search",
    "ix_memory_items_words",
)
"""What one of the two databases has alone: SQLite's tables to search by, and PostgreSQL's indexes for that."""


def test_the_constant_is_the_last_migration():
    assert ScriptDirectory.from_config(config()).get_heads() == [HEAD]


async def test_the_migrations_make_what_the_tables_declare(database: Database):
    def is_declared(_: object, name: str | None, *_rest: object) -> bool:
        return not (name or "").startswith(SEARCH_INDEXES)

    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "include_object": is_declared}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_constraints_have_the_names_that_the_tables_give_them(database: Database):
    """The comparison above does not look at them."""

    def names(connection: Connection) -> set[str | None]:
        found = inspect(connection)
        return {
            constraint["name"]
            for table in metadata.tables
            for constraint in (
                *found.get_check_constraints(table),
                *found.get_foreign_keys(table),
                found.get_pk_constraint(table),
            )
        }

    def is_nameless(constraint: Constraint) -> bool:
        """SQLite lets a key that never comes twice have no name."""
        counts = constraint.table.dialect_options["sqlite"]["autoincrement"]
        return database.dialect == "sqlite" and counts and constraint.__visit_name__.startswith("primary")

    declared = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if not constraint.__visit_name__.startswith("unique") and not is_nameless(constraint)
    }
    async with database.connect() as connection:
        assert await connection.run_sync(names) - {None} == declared


def upgrade_to(revision: str, then: Callable[[Connection], None]) -> Callable[[Connection], None]:
    def run(connection: Connection) -> None:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
        then(connection)

    return run


BEFORE = text(
    """
    INSERT INTO media_items (name, sha256, size, media_type, kind, prompt, alt, tags, provider, model, created, width)
    VALUES (:name, :sha256, :size, :media_type, :kind, :prompt, :alt, :tags, :provider, :model, :created, :width)
    """
)


async def test_the_rows_of_the_first_revision_stay(database_url: str):
    items = [
        MediaItem(
            name=f"{number}_Straße.png",
            sha256=f"{number:064x}",
            size=2**40 + number,
            media_type="image/png",
            kind="image",
            prompt="a\nRed fox" if number % 2 else "",
            alt="Fox",
            tags=("flux", "猫") if number % 3 else (),
            provider="OpenAI" if number % 5 else None,
            model="flux",
            created=1704123456.25 + number // 100,
            modified=1704123456.25 + number // 100,
            width=640,
        )
        for number in range(4500)
    ]

    def fill(connection: Connection) -> None:
        names = (
            "name",
            "sha256",
            "size",
            "media_type",
            "kind",
            "prompt",
            "alt",
            "provider",
            "model",
            "created",
            "width",
        )
        rows = [{name: getattr(item, name) for name in names} | {"tags": json.dumps(item.tags)} for item in items]
        connection.execute(BEFORE, rows)

    await Database(_parse(database_url))._upgrade(upgrade_to("0001", fill))
    opened = await Database.open(database_url)
    catalog = Catalog(opened)
    try:
        assert await catalog.count() == 4500
        assert [await catalog.get(item.name) for item in items[:30]] == items[:30]
        assert (await catalog.get(items[7].name)).id == item_id(items[7].created, items[7].name)
        found = await catalog.search(SearchQuery(tokens=("image", "STRASSE", "red fox", "猫"), limit=5), count=True)
        assert found.total == sum(bool(item.prompt and item.tags) for item in items)
        await catalog.update(items[1].name, {"prompt": "a hen"})
        assert (await catalog.search(SearchQuery(tokens=("red fox",)), count=True)).total == 2249
        # What the migration wrote as the text to search by is what is written now.
        written = "SELECT search_text FROM media_items WHERE name = '4_Straße.png'"
        async with opened.connect() as connection:
            before = await connection.scalar(text(written))
        await catalog.add(items[4])
        async with opened.connect() as connection:
            assert await connection.scalar(text(written)) == before
    finally:
        await opened.close()


@pytest.mark.parametrize("may_create", [True, False])
async def test_the_index_of_trigrams_is_made_where_it_can_be(may_create: bool, caplog: pytest.LogCaptureFixture):
    async with new_database(trigrams=True) as url:
        if not may_create:
            name = url.partition("@/")[2].partition("?")[0]
            await execute(url, f"CREATE ROLE {name} LOGIN; GRANT CREATE ON SCHEMA public TO {name}")
            url = url.replace("postgres@", f"{name}@")
        with caplog.at_level(logging.WARNING):
            opened = await Database.open(url)
        async with opened.connect() as connection:
            indexes = await connection.run_sync(lambda sync: inspect(sync).get_indexes("media_items"))
        await opened.close()
        if not may_create:
            await execute(url.replace(f"{name}@", "postgres@"), f"DROP OWNED BY {name}; DROP ROLE {name}")
    assert any(index["name"] == "ix_media_items_search_text" for index in indexes) == may_create
    assert ("CREATE EXTENSION pg_trgm" in caplog.text) != may_create
