"""The row-level security policies of a table: only fixed forms, as PostgreSQL prints them.

A claim is compared as `(SELECT …)`, which PostgreSQL evaluates once per statement and not once per
row. After its transaction a setting reads as an empty text and not as NULL, hence the NULLIF.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql

from vaultdb.db.quoting import qualified, quote_name
from vaultdb.errors import ConfigurationError
from vaultdb.orm.claims import PRINCIPAL, TENANT
from vaultdb.roles.fact import Fact

if TYPE_CHECKING:
    from sqlalchemy import Column

    from vaultdb.roles.access import Access

ROWS = "vaultdb_rows"
"""Shows the rows of the tenant and the principal."""
FLOOR = "vaultdb_floor"
"""Says the same once more, restrictively: a policy that is added later cannot open the table."""
ROTATOR_READS = "vaultdb_rotator_reads"
ROTATOR_WRITES = "vaultdb_rotator_writes"

_TYPE = re.compile(r"(TEXT|VARCHAR|UUID|SMALLINT|INTEGER|BIGINT)(?:\(\d+\))?(?: COLLATE .*)?")


def claim_type(column: Column[Any], argument: str) -> str:
    """Return the PostgreSQL type, in lower case, that a claim is compared with this column as.

    Raises:
        ConfigurationError: a column of this type cannot be compared with a claim.

    """
    declared = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    match = _TYPE.fullmatch(declared)
    if match is None:
        raise ConfigurationError(
            f"{argument} names {column}, which has the type {declared}: a claim can be compared "
            "with text, varchar, uuid, smallint, integer and bigint"
        )
    return match[1].lower()


def policy_facts(access: Access, table: str, subjects: Sequence[str], rotator: str) -> set[Fact]:
    """Return the policies of a table, and that row-level security is enabled and forced.

    Args:
        access: what is declared.
        table: the table as PostgreSQL prints it, with its schema.
        subjects: the roles, unquoted, that see rows by their claims.
        rotator: the role, unquoted, that sees all rows; "" when it has nothing to do here.

    """
    claims = [(access.tenant, TENANT), (access.principal, PRINCIPAL)]
    terms = [_term(access, column, claim) for column, claim in claims if column is not None]
    if not terms:
        return set()
    found = {Fact("rls", "table", table, "", "enabled", "forced")}
    rule = terms[0] if len(terms) == 1 else f"({' AND '.join(terms)})"
    if subjects:
        who = ",".join(sorted(quote_name(role) for role in subjects))
        found.add(Fact("policy", "ALL", f"{table}.{ROWS}", who, rule, f"PERMISSIVE|{rule}"))
        found.add(Fact("policy", "ALL", f"{table}.{FLOOR}", who, rule, f"RESTRICTIVE|{rule}"))
    if rotator:
        who = quote_name(rotator)
        reads, writes = f"{table}.{ROTATOR_READS}", f"{table}.{ROTATOR_WRITES}"
        found.add(Fact("policy", "SELECT", reads, who, "true", "PERMISSIVE|"))
        found.add(Fact("policy", "UPDATE", writes, who, "true", "PERMISSIVE|true"))
    return found


def _term(access: Access, column_name: str, claim: str) -> str:
    """Return the comparison as PostgreSQL prints it; the same text makes the policy."""
    column = next(each for each in access.table.columns if each.name == column_name)
    type_ = claim_type(column, "policy")
    subject = qualified(column.name)
    value = f"NULLIF(current_setting('{claim}'::text, true), ''::text)"
    if type_ == "varchar":
        subject = f"({subject})::text"
    elif type_ != "text":
        value = f"({value})::{type_}"
    return f'({subject} = ( SELECT {value} AS "nullif"))'
