"""Patients.

What `vaultdb migrate new` writes for the model, put more briefly.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import vaultdb.alembic.operations
import vaultdb.orm

revision: str = "0001"
down_revision: str | tuple[str, ...] | None = None
branch_labels: str | tuple[str, ...] | None = None
depends_on: str | tuple[str, ...] | None = None

REQUIRED = (
    "ssn", "born", "first_name", "last_name", "race", "ethnicity", "gender", "birthplace",
    "address", "city", "state", "latitude", "longitude", "expenses", "coverage",
)  # fmt: skip
OPTIONAL = (
    "died", "drivers_licence", "passport", "prefix", "suffix", "maiden_name", "marital_status",
    "county", "zip",
)  # fmt: skip
INDEXES = {"ssn_index": True, "last_name_index": False}
"""Blind indexes, and whether they are unique."""


def upgrade() -> None:
    op.create_table(
        "patient",
        sa.Column("id", sa.Uuid(), nullable=False),
        *(sa.Column(name, vaultdb.orm.Envelope(), nullable=False) for name in REQUIRED),
        *(sa.Column(name, vaultdb.orm.Envelope(), nullable=True) for name in OPTIONAL),
        *(sa.Column(name, vaultdb.orm.IndexValue(), nullable=False) for name in INDEXES),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, unique in INDEXES.items():
        op.create_index(f"ix_patient_{name}", "patient", [name], unique=unique)
    values = [*REQUIRED, *OPTIONAL, *INDEXES]
    op.grant(["SELECT", "INSERT", "UPDATE", "DELETE"], "patient", "vaultdb_rw")
    op.grant(["SELECT"], "patient", "vaultdb_ro", columns=["id"])
    op.grant(["SELECT"], "patient", "vaultdb_rotator", columns=["id", *values])
    op.grant(["UPDATE"], "patient", "vaultdb_rotator", columns=values)


def downgrade() -> None:
    op.drop_table("patient")
