"""Initialise and unseal a server without static seal: HashiCorp Vault, or an old OpenBao.

The unseal key and a root token pass through our hands once; the key stays in the state folder
(mode 0600) and the token is revoked when the administrator exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vaultdb.dev.files import write_atomically
from vaultdb.dev.openbao_config import ADMIN, ADMIN_POLICY, VaultFiles
from vaultdb.dev.process import ProcessIdentity, wait_until
from vaultdb.dev.vault_api import VaultApi, VaultNotReadyError
from vaultdb.errors import DevStackError

ANSWER_SECONDS = 30.0


def open_server(
    files: VaultFiles,
    api: VaultApi,
    password: str,
    process: Callable[[], ProcessIdentity | None],
) -> None:
    """Initialise the server when it is new, and unseal it."""
    if not wait_until(lambda: process() is None or _answers(api), seconds=ANSWER_SECONDS):
        raise DevStackError(f"vault does not answer, see {files.log}")
    if process() is None:
        return
    root = ""
    if not api.read("sys/init")["initialized"]:
        root = _initialise(files, api)
    elif not files.unseal_key.exists():
        raise DevStackError("vault lost its unseal key: run vaultdb dev reset")
    api.write("sys/unseal", key=files.unseal_key.read_text())
    if root:
        _create_administrator(files, replace(api, token=root), password)


def _answers(api: VaultApi) -> bool:
    try:
        api.read("sys/seal-status")
    except DevStackError:
        return False
    return True


def _initialise(files: VaultFiles, api: VaultApi) -> str:
    answer = api.write("sys/init", secret_shares=1, secret_threshold=1)
    write_atomically(files.unseal_key, answer["keys_base64"][0])
    return str(answer["root_token"])


def _create_administrator(files: VaultFiles, root: VaultApi, password: str) -> None:
    wait_until(lambda: _active(root), seconds=ANSWER_SECONDS)
    root.write("sys/auth/userpass", type="userpass")
    root.write(f"sys/policies/acl/{ADMIN}", policy=ADMIN_POLICY)
    root.write(f"auth/userpass/users/{ADMIN}", password=password, token_policies=[ADMIN])
    _enable_audit(files, root)
    root.write("auth/token/revoke-self")


def _active(api: VaultApi) -> bool:
    try:
        found: Any = api.read("sys/leader")
    except VaultNotReadyError:
        return False
    return bool(found.get("is_self") or not found.get("ha_enabled"))


def _enable_audit(files: VaultFiles, root: VaultApi) -> None:
    options = {"file_path": str(files.audit), "mode": "0600"}
    root.write("sys/audit/main", type="file", options=options)
