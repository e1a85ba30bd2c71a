"""Grant options that roles gave each other: no revoke by the owner ends a circle of them.

PostgreSQL looks only whether a role still has the option from somebody; in a circle each has it
from the other. So one of the grants is taken back in its grantor's name, before anything else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from psycopg import sql

from vaultdb.roles.fact import Fact


def revokes_in_circles(
    passed_on: Iterable[tuple[Fact, str]],
    revoke: Mapping[Fact, sql.Composed],
) -> list[sql.Composed]:
    """Return what ends each circle; the login must be a superuser or a member of the grantors.

    Args:
        passed_on: grants with option, each with its grantor.
        revoke: the statement that takes a grant back.

    """
    given = defaultdict[tuple[str, str], dict[str, set[str]]](lambda: defaultdict(set))
    found = []
    for fact, grantor in sorted(passed_on):
        gifts = given[fact.object, fact.value]
        if grantor in _reached(gifts, fact.who):
            found += [_as_role(grantor), revoke[fact], sql.Composed([sql.SQL("RESET ROLE")])]
        else:
            gifts[grantor].add(fact.who)
    return found


def _reached(gifts: Mapping[str, set[str]], start: str) -> set[str]:
    """Return who has the option from `start`, directly or not, and `start`."""
    reached, new = {start}, {start}
    while new:
        new = {role for giver in new for role in gifts.get(giver, ())} - reached
        reached |= new
    return reached


def _as_role(printed: str) -> sql.Composed:
    return sql.SQL("SET LOCAL ROLE {}").format(sql.SQL(printed))  # pyright: ignore[reportArgumentType]
