"""Data keys, realm, logical names, envelope domain and bind_row.

The schema itself is made by `vaultdb.alembic.own`, because Alembic's version table lives in it.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

# One row: whose database this is. A process with another realm in its settings refuses to start.
REALM = """
CREATE TABLE vaultdb.realm (
  realm uuid PRIMARY KEY,
  only_row boolean NOT NULL DEFAULT true UNIQUE CHECK (only_row),
  created_at timestamptz NOT NULL DEFAULT now()
)
"""

# Room is left in each page so that a rewrap, which touches no index, updates in place (HOT).
DATA_KEY = """
CREATE TABLE vaultdb.data_key (
  key_id bytea PRIMARY KEY CHECK (octet_length(key_id) = 16),
  realm uuid NOT NULL REFERENCES vaultdb.realm (realm),
  tenant text NOT NULL,
  keyset text NOT NULL CHECK (keyset <> ''),
  purpose text NOT NULL CHECK (purpose IN ('data', 'index')),
  version integer NOT NULL CHECK (version >= 1),
  state text NOT NULL DEFAULT 'active'
    CHECK (state IN ('active', 'decrypt_only', 'disabled', 'destroyed')),
  kek_version integer NOT NULL CHECK (kek_version >= 0),
  wrapped text NOT NULL CHECK (wrapped <> '' OR state = 'destroyed'),
  wrapped_prev text,
  created_at timestamptz NOT NULL DEFAULT now(),
  rewrapped_at timestamptz,
  UNIQUE (realm, tenant, keyset, purpose, version)
) WITH (fillfactor = 50)
"""

LOGICAL_NAME = """
CREATE TABLE vaultdb.logical_name (
  name text PRIMARY KEY CHECK (name <> ''),
  schema_name text NOT NULL,
  table_name text NOT NULL,
  column_name text NOT NULL,
  type_tag text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  retired_at timestamptz
)
"""

# One place in the database has one living name; a retired name does not hold its place.
LOGICAL_NAME_PLACE = """
CREATE UNIQUE INDEX logical_name_place ON vaultdb.logical_name
  (schema_name, table_name, column_name) WHERE retired_at IS NULL
"""

# Stops accidents (a plaintext, a truncated value), not attackers.
ENVELOPE = r"""
CREATE DOMAIN vaultdb.envelope AS bytea
  CHECK (substring(VALUE, 1, 1) = '\xf6'::bytea AND octet_length(VALUE) BETWEEN 60 AND 1100000)
"""

# VOLATILE, so that the planner computes it after a sort: a plain || made ORDER BY ... LIMIT 20
# forty times slower. No SET clause, which would cost more than the body: names are qualified.
BIND_ROW = """
CREATE FUNCTION vaultdb.bind_row(row_binding bytea, envelope bytea) RETURNS bytea
LANGUAGE plpgsql VOLATILE STRICT PARALLEL SAFE AS $$
BEGIN
  RETURN pg_catalog.int4send(pg_catalog.octet_length(row_binding))
    OPERATOR(pg_catalog.||) row_binding OPERATOR(pg_catalog.||) envelope;
END $$
"""

COMMENTS = (
    "COMMENT ON TABLE vaultdb.realm IS 'the deployment that this database belongs to'",
    "COMMENT ON TABLE vaultdb.data_key IS 'wrapped data keys; useless without the KEK in Vault'",
    "COMMENT ON TABLE vaultdb.logical_name IS 'the name under which each column is encrypted'",
)


def upgrade() -> None:
    for statement in (REALM, DATA_KEY, LOGICAL_NAME, LOGICAL_NAME_PLACE, ENVELOPE, BIND_ROW):
        op.execute(statement)
    for statement in COMMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop everything; fails while a column still has the envelope domain or a view bind_row."""
    op.execute("DROP FUNCTION vaultdb.bind_row(bytea, bytea)")
    op.execute("DROP DOMAIN vaultdb.envelope")
    op.execute("DROP TABLE vaultdb.logical_name")
    op.execute("DROP TABLE vaultdb.data_key")
    op.execute("DROP TABLE vaultdb.realm")
