"""What the user sees of a destruction: the plan before, the result after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vaultdb.cli.report import plural

if TYPE_CHECKING:
    from vaultdb.jobs.shred.destroy import Destroyed
    from vaultdb.jobs.shred.target import Target
    from vaultdb.vault.kek_deletion import KekDeletion


def print_plan(
    target: Target,
    kek: KekDeletion | None,
    *,
    own_keysets: frozenset[str] = frozenset(),
    is_there: bool = False,
) -> None:
    """Print what will be destroyed, what that makes unreadable, and what still has it."""
    for line in _plan(target, kek, own_keysets, is_there=is_there):
        print(line)


def plan_as_json(
    target: Target,
    kek: KekDeletion | None,
    *,
    own_keysets: frozenset[str] = frozenset(),
    is_there: bool = False,
) -> dict[str, object]:
    """Return the plan for another program."""
    return {
        "tenant": target.tenant,
        "subject": target.subject,
        "kek": None if kek is None else f"{kek.mount}/keys/{kek.kek}",
        "kek_exists": is_there,
        "keys": len(target.keys),
        "keys_to_destroy": len(target.living),
        "keys_under_realm_kek": len(target.of_keysets(own_keysets, other=True)),
        "values": target.values,
        "uncounted": target.uncounted,
        "index_tables": [str(table) for table in target.index_tables],
        "in_the_clear": list(target.in_the_clear),
        "backups": [manifest.name for manifest in target.manifests],
        "key_backups": [
            {"file": backup.name, "until": backup.until.isoformat()}
            for backup in target.old_backups
        ],
    }


def print_result(done: Destroyed, files: Sequence[Path]) -> None:
    """Print what was done, and where the certificate is."""
    body = done.certificate
    if body["kek"] is not None:
        print(f"the key-encryption key {body['kek']} is {body['kek_state']}")
    print(f"destroyed {plural(len(body['keys_destroyed']), 'data key')}")
    for table, rows in body["index_rows"].items():
        print(f"removed the index values of {plural(rows, 'row')} of {table}")
    if done.backup is not None:
        print(f"wrote {done.backup.path}")
    print(f"final at {body['final_at'] or 'a time that vaultdb does not know'}; what remains:")
    for each in body["remains"]:
        print(f"  {each['what']}, until {each['until'] or 'not known'}")
    for path in files:
        print(f"certificate: {path}")


def _plan(
    target: Target, kek: KekDeletion | None, own: frozenset[str], *, is_there: bool
) -> Iterator[str]:
    whose = f"tenant {target.tenant!r}"
    if target.subject is not None:
        whose = f"data subject {target.subject!r} of {whose}"
    yield f"destroy {whose}, for ever:"
    if kek is not None:
        path = f"{kek.mount}/keys/{kek.kek}"
        yield f"  delete {path}" if is_there else f"  {path} is not there (any more)"
    yield f"  destroy {len(target.living):,} of {plural(len(target.keys), 'data key')}"
    under_realm = len(target.of_keysets(own, other=True))
    if target.subject is None and under_realm:
        yield (
            f"  {plural(under_realm, 'key')} of these the realm's key-encryption key still opens in"
            " older copies of the key table"
        )
    yield from (f"  {plural(rows, 'value')} of {c} unreadable" for c, rows in target.values.items())
    yield from (f"  {column} not counted: {why}" for column, why in target.uncounted.items())
    yield from (f"  remove index values from {table}" for table in target.index_tables)
    yield from (f"  {column} stays, in the clear" for column in target.in_the_clear)
    yield from (f"  backup {manifest.name} contains values" for manifest in target.manifests)
    for backup in target.old_backups:
        yield f"  {backup.name} has the keys until {backup.until:%Y-%m-%d}"
