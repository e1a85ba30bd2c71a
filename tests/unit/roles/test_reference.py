from __future__ import annotations

from pathlib import Path

from vaultdb.roles.reference import rewritten

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "roles.md"


def test_the_table_of_roles_in_the_documentation_is_what_the_code_grants():
    page = PAGE.read_text("utf-8")
    assert "| table `clinic.patient` |" in page
    assert page == rewritten(page), "run: python -m vaultdb.roles.reference docs/reference/roles.md"
