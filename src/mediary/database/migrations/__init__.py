"""The schema's history, applied by Alembic; configured here, there is no alembic.ini."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from mediary.errors import SettingsError


def config() -> Config:
    """Alembic's configuration: where the scripts are."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return settings


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision, within the connection's transaction."""
    settings = config()
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if unknown := set(MigrationContext.configure(connection).get_current_heads()) - known:
        raise SettingsError(
            f"the database was written by a newer Mediary (its revision is {', '.join(sorted(unknown))}): "
            "upgrade this program, or go back to a backup of the database"
        )
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
