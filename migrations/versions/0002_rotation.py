"""Keys of single subjects, states of keys, jobs over rows, and manifests of backups."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

# A key of one data subject beside those of the whole keyset; '' is the whole keyset.
SUBJECT = """
ALTER TABLE vaultdb.data_key
  ADD COLUMN subject text NOT NULL DEFAULT '',
  ADD COLUMN state_changed_at timestamptz,
  DROP CONSTRAINT data_key_realm_tenant_keyset_purpose_version_key,
  ADD CONSTRAINT data_key_scope_key UNIQUE (realm, tenant, keyset, purpose, subject, version),
  ADD CONSTRAINT data_key_subject_check CHECK (subject = '' OR purpose = 'data')
"""

# An incoming index key is searched for, but does not yet write what is searched today.
STATES = """
ALTER TABLE vaultdb.data_key
  DROP CONSTRAINT data_key_state_check,
  ADD CONSTRAINT data_key_state_check
    CHECK (state IN ('active', 'decrypt_only', 'disabled', 'destroyed')
           OR (state = 'incoming' AND purpose = 'index')),
  ADD CONSTRAINT data_key_destroyed_check
    CHECK (state <> 'destroyed' OR (wrapped = '' AND wrapped_prev IS NULL))
"""

# A state can only take rights away: not even the rotator, who sets it, gives them back. What was
# destroyed stays a tombstone.
KEEP_RESTRICTIONS = """
CREATE FUNCTION vaultdb.keep_restrictions() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  states CONSTANT text[] := ARRAY['incoming', 'active', 'decrypt_only', 'disabled', 'destroyed'];
BEGIN
  IF OLD.state = 'destroyed'
    OR array_position(states, NEW.state) < array_position(states, OLD.state)
  THEN
    RAISE EXCEPTION 'a data key that is % stays so', OLD.state USING ERRCODE = '42501';
  END IF;
  RETURN NEW;
END $$
"""

# The condition costs a rewrap nothing; the function is not called.
RESTRICTIONS = """
CREATE TRIGGER keep_restrictions BEFORE UPDATE ON vaultdb.data_key FOR EACH ROW
WHEN (OLD.state = 'destroyed' OR NEW.state <> OLD.state)
EXECUTE FUNCTION vaultdb.keep_restrictions()
"""

# Names and numbers only: neither a key nor a value is ever in a job.
JOB = """
CREATE TABLE vaultdb.job (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind <> ''),
  target text NOT NULL CHECK (target <> ''),
  spec jsonb NOT NULL,
  state text NOT NULL DEFAULT 'running'
    CHECK (state IN ('running', 'paused', 'cancelled', 'finished')),
  passes integer NOT NULL DEFAULT 0,
  estimated_rows bigint NOT NULL DEFAULT 0,
  created_by text NOT NULL DEFAULT session_user,
  created_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now()
)
"""

# Who starts the same job twice joins the first.
JOB_ONCE = """
CREATE UNIQUE INDEX job_once ON vaultdb.job (kind, target) WHERE state IN ('running', 'paused')
"""

JOB_CHUNK = """
CREATE TABLE vaultdb.job_chunk (
  job bigint NOT NULL REFERENCES vaultdb.job (id) ON DELETE CASCADE,
  number integer NOT NULL,
  lower jsonb,
  upper jsonb,
  position jsonb,
  seen bigint NOT NULL DEFAULT 0,
  changed bigint NOT NULL DEFAULT 0,
  conflicts bigint NOT NULL DEFAULT 0,
  quarantined bigint NOT NULL DEFAULT 0,
  worker text,
  lease_until timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  PRIMARY KEY (job, number)
) WITH (fillfactor = 50)
"""

JOB_QUARANTINE = """
CREATE TABLE vaultdb.job_quarantine (
  job bigint NOT NULL REFERENCES vaultdb.job (id) ON DELETE CASCADE,
  row_key jsonb NOT NULL,
  column_name text NOT NULL,
  reason text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job, row_key, column_name)
)
"""

# What a backup needs to be read: keys in it are not retired before it is released.
BACKUP_MANIFEST = """
CREATE TABLE vaultdb.backup_manifest (
  name text PRIMARY KEY CHECK (name <> ''),
  taken_at timestamptz NOT NULL,
  expires_at timestamptz,
  key_ids bytea[] NOT NULL,
  kek_versions jsonb NOT NULL DEFAULT '{}',
  recorded_at timestamptz NOT NULL DEFAULT now(),
  released_at timestamptz
)
"""

COMMENTS = (
    "COMMENT ON TABLE vaultdb.job IS 'work over the rows of a table, such as re-encryption'",
    "COMMENT ON TABLE vaultdb.job_chunk IS 'ranges of keys, and how far each has come'",
    "COMMENT ON TABLE vaultdb.job_quarantine IS 'rows that a job could not deal with'",
    "COMMENT ON TABLE vaultdb.backup_manifest IS 'backups, and the data keys that they need'",
)

TABLES = ("backup_manifest", "job_quarantine", "job_chunk", "job")


def upgrade() -> None:
    keys = (SUBJECT, STATES, KEEP_RESTRICTIONS, RESTRICTIONS)
    jobs = (JOB, JOB_ONCE, JOB_CHUNK, JOB_QUARANTINE, BACKUP_MANIFEST)
    for statement in (*keys, *jobs, *COMMENTS):
        op.execute(statement)


def downgrade() -> None:
    """Drop the jobs; fails while a subject has a key of its own or an index key is incoming."""
    for table in TABLES:
        op.execute(f"DROP TABLE vaultdb.{table}")
    op.execute("DROP TRIGGER keep_restrictions ON vaultdb.data_key")
    op.execute("DROP FUNCTION vaultdb.keep_restrictions()")
    # Fails here, before anything is lost, where a subject has a key of its own.
    op.execute("ALTER TABLE vaultdb.data_key ADD CONSTRAINT no_subject CHECK (subject = '')")
    op.execute("""
        ALTER TABLE vaultdb.data_key
          DROP CONSTRAINT data_key_destroyed_check,
          DROP CONSTRAINT data_key_state_check,
          ADD CONSTRAINT data_key_state_check
            CHECK (state IN ('active', 'decrypt_only', 'disabled', 'destroyed')),
          ADD CONSTRAINT data_key_realm_tenant_keyset_purpose_version_key
            UNIQUE (realm, tenant, keyset, purpose, version),
          DROP COLUMN subject,
          DROP COLUMN state_changed_at
    """)
