"""The rotator may read and empty a plaintext column while it is adopted, and not longer."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

import vaultdb
from vaultdb.db.role_names import RoleNames
from vaultdb.orm.types import Encrypted
from vaultdb.roles.wanted import wanted_facts


def privileges(**options: Any) -> set[str]:
    metadata = sa.MetaData()
    table = sa.Table(
        "person",
        metadata,
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("Ssn", sa.Text),
        sa.Column("ssn_encrypted", Encrypted(str, **options), nullable=True),
    )
    vaultdb.access(table)
    facts = wanted_facts(metadata, RoleNames())
    return {
        fact.value
        for fact in facts
        if fact.object == 'public.person."Ssn"' and fact.who == "vaultdb_rotator"
    }


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"adopts": "Ssn", "plaintext": "allow"}, {"SELECT", "UPDATE"}),
        ({"adopts": "Ssn", "plaintext": "empty"}, {"SELECT", "UPDATE"}),
        ({"adopts": "Ssn"}, {"SELECT", "UPDATE"}),
        ({}, set()),
    ],
)
def test_the_rotator_has_the_column_as_long_as_it_is_adopted(
    options: dict[str, Any], wanted: set[str]
) -> None:
    assert privileges(**options) == wanted
