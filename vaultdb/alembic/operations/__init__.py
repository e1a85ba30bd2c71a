"""The operations that vaultdb adds to Alembic's `op`; importing this registers them."""

from __future__ import annotations

from vaultdb.alembic.operations.blind_index import CreateBlindIndexOp, DropBlindIndexOp
from vaultdb.alembic.operations.encrypted_column import (
    AddEncryptedColumnOp,
    DropEncryptedColumnOp,
)
from vaultdb.alembic.operations.expansion import AbandonExpansionOp, ExpandEncryptedColumnOp
from vaultdb.alembic.operations.invalidation import (
    CreateInvalidationTriggerOp,
    DropInvalidationTriggerOp,
)
from vaultdb.alembic.operations.operation import VaultOperation
from vaultdb.alembic.operations.policies import CreatePolicyOp, DropPolicyOp, Policy
from vaultdb.alembic.operations.privileges import GrantOp, RevokeOp
from vaultdb.alembic.operations.renames import RenameIndexOp, RenameSequenceOp
from vaultdb.alembic.operations.row_security import DisableRlsOp, EnableRlsOp, ForceRlsOp

__all__ = [
    "AbandonExpansionOp",
    "AddEncryptedColumnOp",
    "CreateBlindIndexOp",
    "CreateInvalidationTriggerOp",
    "CreatePolicyOp",
    "DisableRlsOp",
    "DropBlindIndexOp",
    "DropEncryptedColumnOp",
    "DropInvalidationTriggerOp",
    "DropPolicyOp",
    "EnableRlsOp",
    "ExpandEncryptedColumnOp",
    "ForceRlsOp",
    "GrantOp",
    "Policy",
    "RenameIndexOp",
    "RenameSequenceOp",
    "RevokeOp",
    "VaultOperation",
]
