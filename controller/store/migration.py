"""Bringing a database to this release's schema, and knowing whether it is there.

Rules: migrations are part of the package; one set for every database; only `expunge init` and an explicit
upgrade run them, never a controller that starts (DESIGN.md, rule 6; engine-and-stack.md, section 2).
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from certificate.errors import Refused
from controller.errors import Code

_SCRIPT_LOCATION = "controller.store:migrations"


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", _SCRIPT_LOCATION)
    return configuration


def head() -> str:
    """The revision this release expects."""
    revision = ScriptDirectory.from_config(_configuration()).get_current_head()
    if revision is None:
        raise RuntimeError("the package was installed without its migrations")
    return revision


def current(tx: Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    return MigrationContext.configure(tx).get_current_revision()


def upgrade(tx: Connection) -> None:
    """Runs every outstanding migration inside the open transaction."""
    configuration = _configuration()
    configuration.attributes["connection"] = tx
    command.upgrade(configuration, "head")


def check_head(tx: Connection) -> None:
    """Refuses with STORE_FOREIGN a database of another release (or of another program)."""
    found, expected = current(tx), head()
    if found != expected:
        raise Refused(
            Code.STORE_FOREIGN, f"the database is at revision {found}, this release needs {expected}"
        )
