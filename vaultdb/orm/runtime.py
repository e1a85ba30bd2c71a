"""What vaultdb hangs on an engine's dialect: the keyring and the tenant, never a module global."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, NoReturn

from vaultdb.after_fork import reset_in_children
from vaultdb.errors import NotPrepared
from vaultdb.orm.plaintext_reads import PlaintextReads
from vaultdb.orm.tenant import tenant_in_use

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from vaultdb.keys.keyring import Keyring

ATTRIBUTE = "vaultdb_runtime"


class Runtime:
    """The keyring of an engine, opened at first use, and the tenant that applies by default.

    Args:
        keyring: a keyring that the caller owns and closes, or a function that opens one; what the
            function opens is closed with the engine, and opened again when it is used again.
        default_tenant: the tenant outside of `acting_as(tenant=)`; "" where there are no tenants.

    """

    def __init__(
        self,
        keyring: Keyring | Callable[[], AbstractContextManager[Keyring]],
        default_tenant: str = "",
    ) -> None:
        self.default_tenant = default_tenant
        self._open: Callable[[], AbstractContextManager[Keyring]] | None = None
        self._keyring: Keyring | None = None
        self._opened = ExitStack()
        self.plaintext_reads = PlaintextReads()
        if callable(keyring):
            self._open = keyring
        else:
            self._keyring = keyring
        self.reset_after_fork()
        reset_in_children(self)

    @property
    def keyring(self) -> Keyring:
        """The keyring; the first use opens it."""
        ready = self._keyring
        return ready if ready is not None else self._open_keyring()

    def uses(self, keyring: Keyring) -> bool:
        """Return whether this is the keyring that the runtime was given."""
        return self._open is None and self._keyring is keyring

    def tenant_now(self) -> str:
        """Return the tenant of the statement whose values are being processed in this thread."""
        tenant = tenant_in_use.value
        return self.default_tenant if tenant is None else tenant

    def close(self) -> None:
        """Close the keyring that this runtime opened; it opens another when used again."""
        if self._open is None:
            return
        with self._lock:
            self._keyring = None
            opened, self._opened = self._opened, ExitStack()
        opened.close()

    def reset_after_fork(self) -> None:
        """Replace the lock in a forked child; a thread of the parent may have held it."""
        self._lock = threading.Lock()

    def _open_keyring(self) -> Keyring:
        assert self._open is not None
        with self._lock:
            if self._keyring is None:
                self._keyring = self._opened.enter_context(self._open())
            return self._keyring

    def __repr__(self) -> str:
        return f"<Runtime tenant={self.default_tenant!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a runtime holds a keyring and cannot be pickled or copied")


def runtime_of(dialect: Dialect) -> Runtime:
    """Return the runtime of the engine that this dialect belongs to.

    Raises:
        NotPrepared: vaultdb did not create the engine, and was not told about it.

    """
    runtime: Any = getattr(dialect, ATTRIBUTE, None)
    if runtime is None:
        raise NotPrepared(
            "this engine was not prepared for encrypted columns: make it with "
            "vaultdb.create_engine(), or call vaultdb.install(engine) once after making it"
        )
    assert isinstance(runtime, Runtime)
    return runtime


def find_runtime(dialect: Dialect) -> Runtime | None:
    """Return the runtime of the dialect, or None when its engine is not prepared."""
    return getattr(dialect, ATTRIBUTE, None)
