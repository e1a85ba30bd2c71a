"""Problems of a log: the first of each kind are kept, all are counted."""

from __future__ import annotations

from vaultdb.jobs.audit.verify.findings import MAX_SHOWN, Findings, Problem


def test_nothing_is_first_of_nothing() -> None:
    assert Findings().first is None


def test_many_problems_of_one_kind_hide_no_other() -> None:
    findings = Findings()
    findings.add(Problem("missing", "a gap", index=900))
    for index in range(500, 0, -1):
        findings.add(Problem("leaf", "noise", index=index))

    assert findings.first == Problem("leaf", "noise", index=1)
    assert [each.index for each in findings.problems] == [*range(1, MAX_SHOWN + 1), 900]
    assert findings.counts == {"leaf": 500, "missing": 1}
    assert findings.total == 501


def test_a_log_that_is_not_signed_yet_is_told_last() -> None:
    findings = Findings()
    findings.add(Problem("unsigned", "late"))
    findings.add(Problem("changed", "edited", index=7))

    assert [each.kind for each in findings.problems] == ["changed", "unsigned"]
