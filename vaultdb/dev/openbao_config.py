"""The configuration file of the private Vault, for OpenBao and for HashiCorp's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vaultdb.dev.certificates import Certificates
from vaultdb.dev.ports import LOOPBACK

ADMIN = "admin"
ADMIN_POLICY = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
PASSWORD_VARIABLE = "VAULTDB_DEV_ADMIN_PASSWORD"  # noqa: S105  # the name of a variable


class Storage(StrEnum):
    """Where the server keeps its data."""

    RAFT = "raft"
    MEMORY = "inmem"


@dataclass(frozen=True, slots=True)
class VaultFiles:
    """The server's own folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """What the server is started with."""
        return self.folder / "server.hcl"

    @property
    def data(self) -> Path:
        """The raft storage."""
        return self.folder / "data"

    @property
    def seal_key(self) -> Path:
        """The static seal's 32 bytes; secret."""
        return self.folder / "seal.key"

    @property
    def unseal_key(self) -> Path:
        """The unseal key of a server without static seal; secret."""
        return self.folder / "unseal.key"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.folder / "audit.log"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def record(self) -> Path:
        """Who the running server is."""
        return self.folder / "process.json"

    @property
    def initialised(self) -> Path:
        """Exists once the storage was seen to be complete."""
        return self.folder / "initialised"


def render_server(
    files: VaultFiles,
    certificates: Certificates,
    *,
    storage: Storage,
    port: int,
    cluster_port: int,
    self_initialise: bool,
) -> str:
    """Return the configuration; `self_initialise` adds what only OpenBao 2.4+ understands."""
    parts = [
        f"""\
ui = false
api_addr = "https://{LOOPBACK}:{port}"
cluster_addr = "https://{LOOPBACK}:{cluster_port}"

listener "tcp" {{
  address = "{LOOPBACK}:{port}"
  cluster_address = "{LOOPBACK}:{cluster_port}"
  tls_cert_file = {_quote(certificates.server)}
  tls_key_file = {_quote(certificates.server_key)}
  tls_min_version = "tls13"
}}
""",
        _storage(files, storage),
    ]
    if self_initialise:
        parts += [_seal(files), _audit(files), _initialise()]
    else:
        parts.append("disable_mlock = true\n")  # ordinary users may not lock memory
    return "\n".join(parts)


def _storage(files: VaultFiles, storage: Storage) -> str:
    if storage is Storage.MEMORY:
        return 'storage "inmem" {}\n'
    # a multiplier of 1 makes the first election last 3 s instead of 7 to 12
    return f"""\
storage "raft" {{
  path = {_quote(files.data)}
  node_id = "dev"
  performance_multiplier = 1
}}
"""


def _seal(files: VaultFiles) -> str:
    return f"""\
seal "static" {{
  current_key_id = "dev-1"
  current_key = {_quote(f"file://{files.seal_key}")}
}}
"""


def _audit(files: VaultFiles) -> str:
    return f"""\
audit "file" "main" {{
  description = "main"
  options {{
    file_path = {_quote(files.audit)}
    mode = "0600"
  }}
}}
"""


def _initialise() -> str:
    """Only an administrator is born with the server; all else is provisioned through the API."""
    return f"""\
initialize "administrator" {{
  request "enable-userpass" {{
    operation = "update"
    path = "sys/auth/userpass"
    data = {{
      type = "userpass"
    }}
  }}
  request "write-policy" {{
    operation = "update"
    path = "sys/policies/acl/{ADMIN}"
    data = {{
      policy = {_quote(ADMIN_POLICY)}
    }}
  }}
  request "create-user" {{
    operation = "update"
    path = "auth/userpass/users/{ADMIN}"
    data = {{
      token_policies = ["{ADMIN}"]
      token_ttl = "1h"
      password = {{
        eval_type = "string"
        eval_source = "env"
        env_var = "{PASSWORD_VARIABLE}"
        require_present = true
      }}
    }}
  }}
}}
"""


def _quote(value: str | Path) -> str:
    return json.dumps(str(value))
