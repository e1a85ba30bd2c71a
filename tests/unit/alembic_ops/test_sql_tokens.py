"""SQL is cut into the same tokens that PostgreSQL sees."""

from __future__ import annotations

import pytest

from vaultdb.alembic.covering import covers
from vaultdb.alembic.sql_tokens import Kind, statements, tokens


def texts(sql: str) -> list[str]:
    return [token.text for token in tokens(sql)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a--b\n,c", ["select", "a", ",", "c"]),
        ("a /* b /* c */ d */ e", ["a", "e"]),
        ("a /* never closed", ["a"]),
        ('"A ""b"" C".d', ['A "b" C', ".", "d"]),
        ("'it''s; -- here' x", ["it's; -- here", "x"]),
        (r"E'it\'s' x", ["it's", "x"]),
        (r"'c:\' x", ["c:\\", "x"]),
        ("$$ a $x$ ' b $$ c", [" a $x$ ' b ", "c"]),
        ("$x$ a $$ b $x$", [" a $$ b "]),
        ("$x$ never closed", [" never closed"]),
        ("a$1 $2", ["a$1", "$", "2"]),
        ("ÄB Ça", ["Äb", "Ça"]),
        ("x::text", ["x", ":", ":", "text"]),
        ("'open", ["open"]),
        ("", []),
    ],
)
def test_tokens(sql, expected):
    assert texts(sql) == expected


def test_a_quoted_word_is_a_name():
    assert [token.kind for token in tokens("public \"public\" 'public'")] == [
        Kind.WORD,
        Kind.NAME,
        Kind.STRING,
    ]


def test_statements_within_blocks_are_statements():
    sql = "SELECT 1; DO $$ BEGIN IF x THEN GRANT y; END IF; EXECUTE 'drop z; a'; END $$; b"
    found = [" ".join(token.text for token in each) for each in statements(sql)]
    assert "grant y" in found
    assert "drop z" in found
    assert found[-1] == "b"


def test_strings_of_ordinary_statements_are_no_statements():
    assert len(statements("COMMENT ON TABLE t IS 'a; b'; SELECT $$ c; d $$")) == 2


@pytest.mark.parametrize(
    ("definition", "safe"),
    [
        ("CHECK (((ssn IS NULL) OR (ssn_enc IS NOT NULL)))", True),
        ('"ssn_enc" is not null or SSN is null', True),
        ("ssn IS NULL OR ssn_enc IS NOT NULL OR true", False),
        ("ssn IS NULL AND ssn_enc IS NOT NULL", False),
        ("ssn IS NULL OR other IS NOT NULL", False),
        ("ssn IS NOT NULL OR ssn_enc IS NOT NULL", False),
        ("(ssn IS NULL OR ssn_enc IS NOT NULL) IS NOT TRUE", False),
    ],
)
def test_only_the_exact_condition_covers_a_plaintext(definition, safe):
    assert covers(definition, "ssn", "ssn_enc") is safe
