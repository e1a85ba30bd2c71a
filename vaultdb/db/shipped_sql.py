"""The SQL files that stand beside the modules which run them."""

from __future__ import annotations

from importlib import resources


def shipped_sql(package: str, name: str) -> str:
    """Return the text of `sql/NAME.sql` in a package, in a checkout or in an installed wheel."""
    return resources.files(package).joinpath("sql", f"{name}.sql").read_text("utf-8")
