"""What a rotation says while it goes on, and at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vaultdb.cli.job_output import JobBar
from vaultdb.cli.key_backup import backup_as_json
from vaultdb.cli.report import plural
from vaultdb.keys.naming import create_command
from vaultdb.keys.wrapped_key import Purpose

if TYPE_CHECKING:
    from vaultdb.jobs.keybackup.folder import Written
    from vaultdb.jobs.rotation.kek import KekDone
    from vaultdb.jobs.rotation.plan import RowsPlan
    from vaultdb.jobs.rotation.run import Rotated
    from vaultdb.jobs.work.job import Job, JobResult, Progress
    from vaultdb.keys.wrapped_key import KeyScope, WrappedKey
    from vaultdb.settings.model import Role

SHOWN = 5
"""Failures and commands printed one by one; the rest is counted."""


class Teller:
    """Tells on the terminal how a rotation goes on.

    Args:
        hidden: say nothing, as the result is for another program.

    """

    def __init__(self, *, hidden: bool) -> None:
        self._hidden = hidden
        self._bar = JobBar(hidden=hidden)

    def made(self, keys: Sequence[WrappedKey]) -> None:
        """Hear that new versions are in the key table."""
        self._say(f"made {plural(len(keys), 'new version')} of data keys")

    def worked(self, job: Job, progress: Progress) -> None:
        """Hear how far a job has come."""
        self._bar.show(job, progress)

    def ended(self, table: str, result: JobResult) -> None:
        """Hear that a job is over, or stands still."""
        self._bar.close()
        self._say(f"{table}: {plural(result.changed, 'row')} re-encrypted")

    def waits(self, seconds: float) -> None:
        """Hear that it is waited until every process knows the new keys."""
        if not self._hidden:
            print(
                f"waiting {seconds:.0f} s until every process knows the new keys; Ctrl-C is safe,"
                " run again to go on",
                file=sys.stderr,
            )

    def promoted(self, keys: Sequence[WrappedKey]) -> None:
        """Hear which index keys write what is searched from now on."""
        self._say(f"promoted {plural(len(keys), 'index key')}")

    def _say(self, text: str) -> None:
        if not self._hidden:
            print(text)


@dataclass(frozen=True, slots=True)
class Done:
    """The result of both halves."""

    kek: KekDone | None
    rows: Rotated | None
    left: Sequence[str]
    backup: Written | None = None

    @property
    def has_failed(self) -> bool:
        """Whether something could not be done here, or is stuck."""
        return bool(
            (self.kek is None and self.rows is None)
            or (self.kek is not None and self.kek.has_failed)
            or (self.rows is not None and self.rows.is_stuck)
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for another program; the first keys are those of the KEK's half."""
        found: dict[str, Any] = {}
        if self.kek is not None:
            found |= asdict(self.kek.rewrapped)
            found |= {"seconds": round(self.kek.seconds, 2), "unverified": self.kek.unverified}
            found |= {"backup": self.backup and backup_as_json(self.backup)}
        if self.rows is not None:
            found["rows"] = _rows_as_json(self.rows)
        return {**found, "left": list(self.left)}

    def print_left(self) -> None:
        """Print exactly what is left to do, and how."""
        if self.rows is not None:
            _print_rows_left(self.rows)
        for line in self.left[:SHOWN]:
            print(f"left: {line}")
        if len(self.left) > SHOWN:
            print(f"left: and {len(self.left) - SHOWN:,} more, which --json lists")


def left_elsewhere(
    missing: Mapping[Role, str | None], rows: RowsPlan | None, *, wants_kek: bool
) -> list[str]:
    """Return what only another machine can do, with the command to run there."""
    left = []
    if wants_kek and missing["rotator"]:
        left.append("the KEK; run where the rotator's login is: vaultdb rotate --kek")
    if rows is not None and missing["officer"]:
        left += [
            f"run where the officer's login is: {_new_version_command(each.scope)}"
            for each in rows.new_versions
        ]
    if rows is not None and missing["reencryptor"]:
        left.append("the rows; run where the reencryptor's login is: vaultdb rotate --dek")
    return left


def _new_version_command(scope: KeyScope) -> str:
    """Return the command for the next version of this key and of no other beside it."""
    own = scope.purpose is Purpose.DATA and not scope.subject  # both purposes are the default
    return f"{create_command(scope)}{' --purpose data' if own else ''} --new-version"


def print_kek(done: KekDone) -> None:
    """Print what became of KEK and wrappings."""
    rewrapped = done.rewrapped
    print(
        f"rewrapped {plural(rewrapped.rewrapped, 'data key')} under version"
        f" {rewrapped.kek_version} of the KEK in {done.seconds:.1f} s"
    )
    for failure in rewrapped.failures[:SHOWN]:
        print(f"not rewrapped: {failure}")
    if len(rewrapped.failures) > SHOWN:
        print(f"and {len(rewrapped.failures) - SHOWN:,} more")
    if done.verified is not None:
        print(f"verified {plural(done.verified.verified, 'data key')}")
        for key_id in done.verified.taken_back:
            print(f"key {key_id}: the new wrapping did not open, the previous one is back")
        for key_id in done.verified.broken:
            print(f"key {key_id}: no wrapping opens; restore vaultdb.data_key from a backup")
    elif done.unverified:
        print(f"{plural(done.unverified, 'key')} to verify; run: vaultdb keys verify")


def _print_rows_left(done: Rotated) -> None:
    for table, result in done.jobs.items():
        if result.remaining != 0:
            print(
                f"left: {table}: {result.remaining if result.remaining is not None else 'some'}"
                f" rows ({result.quarantined:,} quarantined, job {result.job.id} is"
                f" {result.job.state}); look at: vaultdb jobs quarantine {result.job.id}"
            )
    if done.problem:
        print(f"left: index keys: {done.problem}")
    superseded = done.superseded
    if superseded.restricted:
        print(f"{plural(len(superseded.restricted), 'older key')} only decrypt from now on")
    if superseded.used:
        values = sum(superseded.used.values())
        print(
            f"left: {plural(values, 'value')} under {plural(len(superseded.used), 'older key')};"
            " see vaultdb keys usage, and run again: vaultdb rotate --dek"
        )
    if superseded.waiting:
        print(
            f"left: {plural(len(superseded.waiting), 'older key')} may be written with for another"
            f" {max(done.seconds_left, 0):.0f} s; then run: vaultdb rotate --dek"
        )


def _rows_as_json(done: Rotated) -> dict[str, Any]:
    superseded = done.superseded
    return {
        "made": [key.key_id.hex() for key in done.made],
        "promoted": [key.key_id.hex() for key in done.promoted],
        "jobs": [
            {
                "table": table,
                "job": result.job.id,
                "state": result.job.state,
                "changed": result.changed,
                "conflicts": result.conflicts,
                "quarantined": result.quarantined,
                "remaining": result.remaining,
            }
            for table, result in done.jobs.items()
        ],
        "decrypt_only": [key.key_id.hex() for key in superseded.restricted],
        "used": {key_id.hex(): count for key_id, count in (superseded.used or {}).items()},
        "waiting": [key.key_id.hex() for key in superseded.waiting],
        "seconds_left": round(done.seconds_left, 1),
    }
