"""How Alembic's autogenerate writes encrypted columns into a migration."""

from __future__ import annotations

from typing import Any, Literal

from vaultdb.orm.stored_types import Envelope, IndexValue
from vaultdb.orm.types import Encrypted


def render_item(kind: str, item: Any, context: Any) -> str | Literal[False]:
    """Write the types of encrypted columns as what they are in the database, with their import.

    A migration then depends neither on the application's types nor on options that do not matter
    there, and companions are columns like any other. Pass it in `env.py` to
    `context.configure(render_item=...)`.

    Args:
        kind: what is to be written; Alembic says `"type"`.
        item: the object to write.
        context: Alembic's `AutogenContext`.

    Returns:
        Python source, or False to leave it to Alembic.

    """
    if kind != "type" or not isinstance(item, Encrypted | Envelope | IndexValue):
        return False
    context.imports.add("import vaultdb.orm")
    stored = IndexValue if isinstance(item, IndexValue) else Envelope
    return f"vaultdb.orm.{stored.__name__}()"
