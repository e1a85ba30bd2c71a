"""Turn what goes wrong in a migration into one line that says what to do.

What PostgreSQL says about a statement can quote a value, and a migration may move values: of
such errors only the code is shown. What a user's own code raises is named by its place.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import alembic.script
import psycopg
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from vaultdb.alembic.autocommit import NotInTransactionError
from vaultdb.db.failures import translated
from vaultdb.errors import ConfigurationError, SchemaError, VaultDBError

if TYPE_CHECKING:
    from vaultdb.alembic.session import Session
    from vaultdb.alembic.trees import Tree

_QUOTES_A_VALUE = ("22", "P0")
"""Classes of SQLSTATE whose message is made of data, or of whatever a function raised."""

_ALEMBIC = Path(alembic.script.__file__).parent
_REMEDIES = {
    "25001": "put it in a with op.get_context().autocommit_block()",
    "3F000": 'make it before its tables, with op.execute("CREATE SCHEMA …")',
    "55P04": "add the value in an earlier revision, in an autocommit_block",
}
"""What to do, by SQLSTATE: no transaction allowed, no such schema, a new value of an enum."""


@contextmanager
def plain_failures(tree: Tree, session: Session | None = None) -> Iterator[None]:
    """Translate everything that running a tree can raise.

    Raises:
        SchemaError: a revision failed; names it, and what stays applied.
        ConfigurationError: the tree itself cannot be run.

    """
    try:
        yield
    except NotInTransactionError:
        raise
    except Exception as error:  # noqa: BLE001  # the user's code may raise anything
        known = _plain(error, tree, session)
        raise known.with_traceback(error.__traceback__) from None


def _plain(error: Exception, tree: Tree, session: Session | None) -> VaultDBError:
    if session is not None and session.running is not None:
        return SchemaError(_in_revision(session, _problem(error, tree)))
    match error:
        case VaultDBError():
            return error
        case SQLAlchemyError() | psycopg.Error():
            return translated(error, "migrate", ConfigurationError)
        case _:
            return ConfigurationError(_problem(error, tree))


def _problem(error: Exception, tree: Tree) -> str:
    match error:
        case VaultDBError():
            return str(error)
        case CommandError():
            return _alembic(tree, str(error))
        case SQLAlchemyError() | psycopg.Error():
            return statement_problem(error)
        case SyntaxError():
            return f"{error.filename}, line {error.lineno}: python cannot read it: {error.msg}"
        case KeyError() if _is_alembics(error):
            return (
                f"tree {tree.name}: a revision follows {error.args[0]}, which is not in"
                f" {tree.folder / 'versions'}: correct its down_revision or bring the file back"
            )
        case _:
            return f"{_place(error, tree.folder)} raised {type(error).__name__}{_missing(error)}"


def statement_problem(error: BaseException) -> str:
    """Say what PostgreSQL refused, without a value."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(original, psycopg.Error):
        return f"the statement cannot be run ({type(error).__name__})"
    state, message = original.sqlstate, original.diag.message_primary
    if state is None or state.startswith(("08", "57")):
        return "the connection to PostgreSQL was lost; what was not finished is rolled back"
    if state in _REMEDIES:
        return f"{message}: {_REMEDIES[state]}"
    if state.startswith(_QUOTES_A_VALUE):
        return f"PostgreSQL refused a value or raised an exception ({state})"
    return f"PostgreSQL says {message} ({state})"


def _in_revision(session: Session, problem: str) -> str:
    kept = [step.revision for step in session.steps if step.tree == session.tree]
    after = f"; {', '.join(kept)} before it stays" if kept and not session.is_preview else ""
    return f"revision {session.running} of tree {session.tree}: {problem}{after}"


def _alembic(tree: Tree, message: str) -> str:
    """Return Alembic's message in our way, with the remedy."""
    text = message[:1].lower() + message[1:].rstrip(".")
    if "heads are present" in text or "ultiple head" in text:
        heads = " ".join(tree.script().get_heads())
        return (
            f"tree {tree.name} has several heads, {heads}: join them with"
            f" vaultdb migrate new --merge {heads.replace(' ', ' --merge ')} MESSAGE"
        )
    if "not up to date" in text:
        return f"tree {tree.name} has revisions that are not applied; run: vaultdb migrate up"
    if "locate revision" in text:
        known = ", ".join(["base", *tree.script().get_heads()])
        return f"tree {tree.name}: {text}; known are {known}, and what vaultdb migrate status shows"
    return f"tree {tree.name}: {text}"


def _is_alembics(error: Exception) -> bool:
    """Whether Alembic itself looked for something, and not the user's code."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(_ALEMBIC)


def _place(error: BaseException, folder: Path) -> str:
    """Return file and line of the last frame inside the user's folder."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f"{inside[-1].filename}, line {inside[-1].lineno}:" if inside else f"{folder}:"


def _missing(error: BaseException) -> str:
    """Name what could not be imported or found; nothing else of a foreign text is shown."""
    if isinstance(error, FileNotFoundError):
        return f" for {error.filename}"
    name = getattr(error, "name", None) if isinstance(error, ImportError | NameError) else None
    return f" for {name}" if name else ""
