"""One thing that is true about access to a database; drift is a difference of two sets of these."""

from __future__ import annotations

from dataclasses import dataclass

PUBLIC = "PUBLIC"
"""How a fact names everybody; a role of that name would be quoted in SQL, not here."""


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """One row of the facts query.

    Every name is as PostgreSQL prints it, quoted where it needs quoting.
    """

    fact: str
    """What it is about: grant, owner, default, rls, policy, role, member, setting, definer…"""
    kind: str
    """Of what: table, column, schema, database, function, type, sequence…"""
    object: str
    """Which: `app.patient`, `app.patient.ssn`, a role, a setting."""
    who: str = ""
    """The role that it concerns, or PUBLIC, or nobody."""
    value: str = ""
    """The privilege, the attribute, the expression."""
    extra: str = ""
    """GRANT OPTION, BY a grantor who is not the owner, forced, the check of a policy…"""
