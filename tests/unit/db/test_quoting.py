from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultdb.db.quoting import parts_of, qualified, quote_name


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("patient", "patient"),
        ("_x1", "_x1"),
        ("1x", '"1x"'),
        ("Patient", '"Patient"'),
        ("select", '"select"'),
        ("json", '"json"'),
        ("name", "name"),
        ('a"b', '"a""b"'),
        ("a.b", '"a.b"'),
        ("größe", '"größe"'),
        ("", '""'),
    ],
)
def test_a_name_is_quoted_where_postgresql_quotes_it(name, printed):
    assert quote_name(name) == printed


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_the_parts_of_a_qualified_name_come_back(parts):
    assert parts_of(qualified(*parts)) == tuple(parts)
