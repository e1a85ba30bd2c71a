"""Patients, as `vaultdb migrate new` wrote them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import vaultdb.alembic.operations
import vaultdb.orm

revision: str = "0001"
down_revision: str | tuple[str, ...] | None = None
branch_labels: str | tuple[str, ...] | None = None
depends_on: str | tuple[str, ...] | None = None

OWN_PRACTICE = (
    "((practice)::text = ( SELECT NULLIF(current_setting('vaultdb.tenant'::text, true),"
    " ''::text) AS \"nullif\"))"
)
"""As PostgreSQL prints it, which is what `vaultdb roles verify` compares."""


def upgrade() -> None:
    op.create_table(
        "patient",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("practice", sa.String(), nullable=False),
        sa.Column("name", vaultdb.orm.Envelope(), nullable=False),
        sa.Column("ssn", vaultdb.orm.Envelope(), nullable=False),
        sa.Column("born", vaultdb.orm.Envelope(), nullable=False),
        sa.Column("notes", vaultdb.orm.Envelope(), nullable=True),
        sa.Column("ssn_index", vaultdb.orm.IndexValue(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_patient_practice"), "patient", ["practice"], unique=False)
    op.create_index(op.f("ix_patient_ssn_index"), "patient", ["ssn_index"], unique=True)
    op.enable_rls("patient")
    op.create_policy(
        "vaultdb_floor",
        "patient",
        command="ALL",
        roles=["vaultdb_ro", "vaultdb_rw"],
        using=OWN_PRACTICE,
        check=OWN_PRACTICE,
        permissive=False,
    )
    op.create_policy(
        "vaultdb_rows",
        "patient",
        command="ALL",
        roles=["vaultdb_ro", "vaultdb_rw"],
        using=OWN_PRACTICE,
        check=OWN_PRACTICE,
    )
    op.create_policy(
        "vaultdb_rotator_reads",
        "patient",
        command="SELECT",
        roles=["vaultdb_rotator"],
        using="true",
    )
    op.create_policy(
        "vaultdb_rotator_writes",
        "patient",
        command="UPDATE",
        roles=["vaultdb_rotator"],
        using="true",
        check="true",
    )
    op.grant(["SELECT", "INSERT", "UPDATE", "DELETE"], "patient", "vaultdb_rw")
    op.grant(["SELECT"], "patient", "vaultdb_ro", columns=["id", "practice"])
    op.grant(
        ["SELECT"],
        "patient",
        "vaultdb_rotator",
        columns=["born", "id", "name", "notes", "practice", "ssn", "ssn_index"],
    )
    op.grant(
        ["UPDATE"],
        "patient",
        "vaultdb_rotator",
        columns=["born", "name", "notes", "ssn", "ssn_index"],
    )


def downgrade() -> None:
    op.drop_table("patient")
