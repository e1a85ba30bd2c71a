"""The catalogue of events in the documentation."""

from __future__ import annotations

from pathlib import Path

from vaultdb.audit.catalogue import rewritten
from vaultdb.audit.kinds import COMMON_FIELDS, KINDS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "audit-events.md"


def test_the_table_of_events_in_the_documentation_is_what_the_code_has() -> None:
    page = PAGE.read_text("utf-8")

    assert all(f"`{kind.name}`" in page for kind in KINDS)
    command = "python -m vaultdb.audit.catalogue docs/reference/audit-events.md"
    assert page == rewritten(page), f"run: {command}"


def test_every_common_field_is_explained() -> None:
    page = PAGE.read_text("utf-8")

    assert all(f"`{name}`" in page for name in COMMON_FIELDS)
