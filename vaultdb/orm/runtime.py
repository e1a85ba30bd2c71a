"""What vaultdb hangs on an engine's dialect: the keyring and the tenant, never a module global."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from vaultdb.audit.auditor import Auditor, NullAuditor
from vaultdb.errors import NotPrepared
from vaultdb.orm.auditing.own_events import emit_event
from vaultdb.orm.opened import Opened
from vaultdb.orm.plaintext_reads import PlaintextReads
from vaultdb.orm.tenant import tenant_in_use

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from vaultdb.audit.event import Event
    from vaultdb.keys.keyring import Keyring

ATTRIBUTE = "vaultdb_runtime"

_NO_LOG = NullAuditor()


class Runtime:
    """The keyring of an engine, opened at first use, and the tenant that applies by default.

    Args:
        keyring: a keyring that the caller owns and closes, or a function that opens one; what the
            function opens is closed with the engine, and opened again when it is used again.
        default_tenant: the tenant outside of `acting_as(tenant=)`; "" where there are no tenants.
        auditor: opens what writes the audit log, likewise; None where no log is kept.

    """

    def __init__(
        self,
        keyring: Keyring | Callable[[], AbstractContextManager[Keyring]],
        default_tenant: str = "",
        *,
        auditor: Callable[[], AbstractContextManager[Auditor]] | None = None,
    ) -> None:
        self.default_tenant = default_tenant
        self.plaintext_reads = PlaintextReads()
        self._given = None if callable(keyring) else keyring
        self._keyring = Opened(keyring) if callable(keyring) else None
        self._auditor = None if auditor is None else Opened(auditor)

    @property
    def keyring(self) -> Keyring:
        """The keyring; the first use opens it."""
        if self._keyring is not None:
            return self._keyring.thing
        assert self._given is not None
        return self._given

    @property
    def auditor(self) -> Auditor:
        """What writes the audit log; the first use opens it, and connects to nothing yet."""
        return _NO_LOG if self._auditor is None else self._auditor.thing

    def emit(self, target: Any, event: Event) -> None:
        """Record an event of the application; see `vaultdb.audit.emit`."""
        emit_event(self.auditor, target, event)

    def audit_with(self, auditor: Auditor) -> None:
        """Have events recorded by this auditor from now on, as tests do."""
        self._auditor = Opened(lambda: nullcontext(auditor))

    def uses(self, keyring: Keyring) -> bool:
        """Return whether this is the keyring that the runtime was given."""
        return self._given is keyring

    def tenant_now(self) -> str:
        """Return the tenant of the statement whose values are being processed in this thread."""
        tenant = tenant_in_use.value
        return self.default_tenant if tenant is None else tenant

    def close(self) -> None:
        """Close what this runtime opened, the log before the keys; it opens others when used."""
        for opened in (self._auditor, self._keyring):
            if opened is not None:
                opened.close()

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
