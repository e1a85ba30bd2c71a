"""How `vaultdb keys retire` shows what may become of each key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from vaultdb.cli.report import print_table

if TYPE_CHECKING:
    from vaultdb.jobs.rotation.retire import Verdict
    from vaultdb.keys.wrapped_key import WrappedKey

TITLES = ("key id", "tenant", "keyset", "purpose", "version", "state", "next")
SHOWN = 5
"""Reasons of one key that are printed; the rest is counted."""


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print the keys, and of those that stay the reasons."""
    rows = []
    for each in verdicts:
        scope = each.key.scope
        names = (scope.tenant or "-", scope.keyset, scope.purpose.value)
        step = each.step or "stays"
        rows.append((each.key.key_id.hex(), *names, each.key.version, each.key.state, step))
    print_table(TITLES, rows, nothing="no key waits to be retired; run: vaultdb rotate --dek")
    for each in verdicts:
        for reason in each.reasons[:SHOWN]:
            print(f"{each.key.key_id.hex()} stays: {reason}")
        if len(each.reasons) > SHOWN:
            print(f"{each.key.key_id.hex()} stays: and {len(each.reasons) - SHOWN:,} more reasons")


def verdicts_as_json(
    verdicts: Sequence[Verdict], done: Collection[WrappedKey]
) -> list[dict[str, Any]]:
    """Return the same for another program."""
    changed = {key.key_id for key in done}
    return [
        {
            "key_id": each.key.key_id.hex(),
            "tenant": each.key.scope.tenant,
            "keyset": each.key.scope.keyset,
            "purpose": each.key.scope.purpose.value,
            "version": each.key.version,
            "state": each.key.state.value,
            "next": each.step and each.step.value,
            "reasons": each.reasons,
            "done": each.key.key_id in changed,
        }
        for each in verdicts
    ]
