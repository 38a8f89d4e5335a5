"""The schema's verbs over Alembic, with no ini file: where a database is, going on, writing a new step."""

import io
from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, inspect

from tidegate.kernel.errors import TidegateError

__all__ = [
    "VERSION_TABLE",
    "configured",
    "current",
    "differences",
    "head",
    "known",
    "pending",
    "tables",
    "upgrade",
    "write_revision",
]

SCRIPTS = Path(__file__).parent / "migrations"
OWN_SHAPE = frozenset(
    (
        "calls",
        "call_batches",
        "call_batches_unread",
        "feedback",
        "counter_windows",
        "counter_slices",
        "counter_gateways",
        "counter_births",
        "call_contents",
    )
)
VERSION_TABLE = "alembic_version"


def head() -> str:
    """The newest step that this wheel knows."""
    return known()[-1]


@cache
def known() -> tuple[str, ...]:
    """Every step that this wheel knows, oldest first."""
    return tuple(script.revision for script in reversed(list(ScriptDirectory(SCRIPTS).walk_revisions())))


def pending(at: str | None) -> tuple[str, ...]:
    """The steps that a database at this one has still to take; all of them for an empty one."""
    steps = known()
    return steps if at is None else steps[steps.index(at) + 1 :]


def current(connection: Connection) -> str | None:
    """The step that the database is at, None when it is empty; perhaps one that this wheel does not know."""
    return MigrationContext.configure(connection).get_current_revision()


@cache
def tables(at: str) -> tuple[str, ...]:
    """The names of the tables that the schema has at this step, without Alembic's own."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection, at)
        names = inspect(connection).get_table_names()
    engine.dispose()
    return tuple(name for name in names if name != VERSION_TABLE)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Take every step up to this one, inside the caller's transaction: all of them, or none."""
    command.upgrade(configured(connection), to)


def configured(connection: Connection) -> Config:
    """Alembic's configuration for its own commands on this connection."""
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("file_template", "r%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def differences(connection: Connection, metadata: MetaData) -> list[object]:
    """What the tables in code and the migrated schema do not agree about; empty when they are equal."""
    options = {"compare_type": True, "include_name": _ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def write_revision(connection: Connection, metadata: MetaData, message: str, folder: Path | None = None) -> Path:
    """Write the next step's script from those differences, for a person to mend; return its path."""
    number = f"{int(head()) + 1:04d}"
    config = configured(connection)
    config.attributes.update(metadata=metadata, include_name=_ours)
    if folder is not None:
        config.set_main_option("version_locations", f"{SCRIPTS / 'versions'}\n{folder}")
        config.set_main_option("path_separator", "newline")
    script = command.revision(
        config,
        message,
        autogenerate=True,
        rev_id=number,
        version_path=str(folder or SCRIPTS / "versions"),
    )
    if not isinstance(script, Script):
        raise TidegateError(f"Alembic wrote no script for {message!r}.", mend="Look at what it printed.")
    return Path(script.path)


def _ours(name: str | None, kind: str, parents: object) -> bool:
    """The tables that gateways write keep their own shape (calls_table, batches_table, counters_rows)."""
    return not (kind == "table" and name in OWN_SHAPE)
