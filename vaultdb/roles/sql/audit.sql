-- The append-only record of what operators did: roles applied, migrations run. It belongs to a
-- role of its own that nobody is a member of, so that no migration can change or drop it.

CREATE TABLE IF NOT EXISTS vaultdb_audit.operation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  login text NOT NULL DEFAULT session_user,
  action text NOT NULL,
  object text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}'
);

COMMENT ON TABLE vaultdb_audit.operation IS 'what operators did to this database; append-only';

-- Stops mistakes, also a superuser's; against the application the missing privileges stand.
CREATE OR REPLACE FUNCTION vaultdb_audit.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'vaultdb_audit.operation is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON vaultdb_audit.operation
  FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.operation
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

ALTER TABLE vaultdb_audit.operation ENABLE TRIGGER USER;
