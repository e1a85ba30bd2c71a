"""Quote names as PostgreSQL prints them, so that what is declared equals what is read."""

from __future__ import annotations

import re

from psycopg import sql

# Of pg_get_keywords() in 15 and 17: every word that quote_ident() quotes.
_KEYWORDS = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
    boolean both case cast char character check coalesce collate collation column concurrently
    constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user dec decimal default deferrable desc distinct do
    else end except exists extract false fetch float for foreign freeze from full grant greatest
    group grouping having ilike in initially inner inout int integer intersect interval into is
    isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query
    json_scalar json_serialize json_table json_value lateral leading least left like limit
    localtime localtimestamp merge_action national natural nchar none normalize not notnull null
    nullif numeric offset on only or order out outer overlaps overlay placing position precision
    primary real references returning right row select session_user setof similar smallint some
    substring symmetric system_user table tablesample then time timestamp to trailing treat trim
    true union unique user using values varchar variadic verbose when where window with
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable
    """.split()  # noqa: SIM905  # a list would take ten pages
)

LONGEST_NAME = 63
"""Bytes of a name (NAMEDATALEN - 1); PostgreSQL cuts longer ones off without an error."""

LIST_SETTINGS = frozenset({"search_path"})
"""Settings whose value is a list of names, each quoted by itself."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_ELEMENT = re.compile(r'"(?:[^"]|"")*"|[^,\s]+')
_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def quote_name(name: str) -> str:
    """Return one name, quoted where PostgreSQL quotes it.

    A word that only newer versions reserve, such as `json`, is quoted for every version.
    """
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a constant in SQL."""
    return sql.Literal(text).as_string(None)


def qualified(*parts: str) -> str:
    """Return names, unquoted, as one: schema and table, or schema, table and column."""
    return ".".join(quote_name(part) for part in parts)


def parts_of(qualified_name: str) -> tuple[str, ...]:
    """Return the parts of a qualified name without their quotes."""
    return tuple(
        bare or quoted.replace('""', '"') for quoted, bare in _PART.findall(qualified_name)
    )


def split_list(text: str) -> list[str]:
    """Return the names, as printed, of a list with commas: a search path, roles of a policy."""
    return _ELEMENT.findall(text)
