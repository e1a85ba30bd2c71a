"""Set a Vault up for vaultdb: keys, policies, logins, leases, certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vaultdb.provision.access import policy_of, set_up_approles, set_up_jwt, set_up_policies
from vaultdb.provision.database_engine import check_names, rotate_root, set_up_leases
from vaultdb.provision.pki import set_up_certificates
from vaultdb.provision.step import Progress, Step
from vaultdb.provision.transit import check_kek, set_up_audit_keys, set_up_transit
from vaultdb.provision.vault_objects import VaultObjects
from vaultdb.provision.vault_spec import VaultSpec
from vaultdb.vault.client import VaultClient


@dataclass(frozen=True, slots=True)
class VaultSetup:
    """What was found and done.

    Args:
        steps: one for each object.
        certificate_request: PEM that another authority must sign, if there is one.

    """

    steps: list[Step]
    certificate_request: str | None = None


def vault(
    client: VaultClient,
    spec: VaultSpec,
    *,
    plan: bool = False,
    rotate: bool = False,
    tell: Callable[[Step], object] = lambda _: None,
) -> VaultSetup:
    """Make a Vault what vaultdb needs; repeat at will, after any interruption.

    Args:
        client: logged in as an administrator.
        spec: what is wanted.
        plan: only find out what differs.
        rotate: give the engine's login a password that only Vault knows, at the end.
        tell: called with each step when it is done.

    Raises:
        ConfigurationError: what is there cannot be used; nothing was changed.
        VaultError: Vault refuses or does not answer; what was done stays, run it again.

    """
    progress = Progress(plan, tell)
    objects = VaultObjects(client, progress)
    for role in spec.roles:
        policy_of(role, spec)  # names that no policy can hold are refused before anything else
    if spec.leases is not None:
        check_names(spec.leases)
    check_kek(objects, spec.transit_mount, spec.kek)
    set_up_transit(objects, spec.transit_mount, spec.kek)
    set_up_audit_keys(objects, spec.transit_mount, spec.kek)
    request = None
    if spec.certificates is not None:
        request = set_up_certificates(objects, spec.certificates)
    is_connected = spec.leases is not None and set_up_leases(objects, spec.leases)
    set_up_policies(objects, spec)
    set_up_approles(objects, spec)
    if spec.jwt is not None:
        set_up_jwt(objects, spec.jwt)
    if rotate and spec.leases is not None and is_connected:
        rotate_root(objects, spec.leases)
    return VaultSetup(progress.steps, request)
