"""How Alembic runs here: on the connection that `controller.store.migration` hands in, in its transaction.

There is no offline mode and no address: whoever opens the store decides which database this is.
"""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import TypeDecorator

from controller.store import METADATA


def _plain_type(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """A migration must mean the same in ten years: it names plain types, never a class of this package."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_item=_plain_type,
    render_as_batch=True,
    # SQLite can roll back a schema change as long as the driver does not commit behind our back (engine.py).
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
