"""A process is known by its number and its start, and signalled only when both fit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vaultdb.dev.process import (
    ProcessIdentity,
    launch,
    read_record,
    start_time,
    terminate,
    wait_until,
)


def test_we_are_alive():
    started = start_time(os.getpid())
    assert started is not None
    assert ProcessIdentity(os.getpid(), started).alive()


def test_another_start_time_is_another_process():
    assert not ProcessIdentity(os.getpid(), "long ago").alive()


def test_a_process_of_another_start_is_not_signalled():
    with subprocess.Popen(["sleep", "60"]) as stranger:
        ProcessIdentity(stranger.pid, "long ago").signal(signal.SIGKILL)
        time.sleep(0.05)
        assert stranger.poll() is None
        stranger.kill()


def test_a_zombie_is_gone():
    with subprocess.Popen(["true"]) as child:
        assert wait_until(lambda: start_time(child.pid) is None, seconds=5)


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "[]", '{"pid": 1, "who": 2}'])
def test_a_record_cut_off_is_no_record(tmp_path: Path, text: str):
    (tmp_path / "record").write_text(text)
    assert read_record(tmp_path / "record") is None


def test_a_missing_record_is_no_record(tmp_path: Path):
    assert read_record(tmp_path / "record") is None


def test_a_launched_process_is_recorded_and_can_be_ended(tmp_path: Path):
    record, log = tmp_path / "record", tmp_path / "log"
    identity = launch(["sh", "-c", "echo started; exec sleep 60"], record=record, log=log)
    assert wait_until(lambda: log.read_text() == "started\n", seconds=5)
    assert read_record(record) == identity
    assert identity.alive()
    terminate(identity)
    assert not identity.alive()


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path):
    log = tmp_path / "log"
    stubborn = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]
    identity = launch(stubborn, record=tmp_path / "record", log=log)
    assert wait_until(lambda: log.read_text() == "deaf\n", seconds=5)
    terminate(identity, patience=0.2)
    assert not identity.alive()


def test_a_frozen_process_is_ended_too(tmp_path: Path):
    identity = launch(["sleep", "60"], record=tmp_path / "record", log=tmp_path / "log")
    identity.signal(signal.SIGSTOP)
    terminate(identity, patience=5)
    assert not identity.alive()


LAUNCHER_KILLED_EARLY = """
import os, pathlib, signal, sys
from vaultdb.dev import process
process.write_atomically = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
folder = pathlib.Path(sys.argv[1])
process.launch(["touch", str(folder / "ran")], record=folder / "record", log=folder / "log")
"""


def test_no_server_runs_unrecorded_when_the_launcher_is_killed(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", LAUNCHER_KILLED_EARLY, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    time.sleep(0.3)
    assert not (tmp_path / "ran").exists()
