"""How types are written into a revision, with their imports."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.dialects.postgresql import DOMAIN

from vaultdb.orm import render_item as render_declared
from vaultdb.orm.stored_types import Envelope
from vaultdb.orm.types import Encrypted

DOMAIN_NAME = "envelope"
DOMAIN_SCHEMA = "vaultdb"


def is_envelope(type_: Any) -> bool:
    """Tell whether a column's type is that of encrypted values: declared, or read from a server."""
    if isinstance(type_, DOMAIN):
        return type_.name == DOMAIN_NAME and type_.schema in (DOMAIN_SCHEMA, None)
    return isinstance(type_, Encrypted | Envelope)


def render_item(kind: str, item: Any, context: Any) -> str | Literal[False]:
    """Write encrypted columns and companions as what they are in the database.

    As `vaultdb.orm.render_item`, and also for what was read from the database, so that a downgrade
    brings back the domain and not a copy of it.

    Args:
        kind: what is to be written; Alembic says `"type"`.
        item: the object to write.
        context: Alembic's `AutogenContext`.

    Returns:
        Python source, or False to leave it to Alembic.

    """
    if kind == "type" and isinstance(item, DOMAIN) and is_envelope(item):
        item = Envelope()
    return render_declared(kind, item, context)
