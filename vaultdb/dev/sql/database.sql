-- What vaultdb's roles may do in one database. Run roles.sql first, then this one as a superuser
-- while connected to that database; run again at will, and after a restore (pg_dump leaves most
-- of it out).

-- CONNECT and TEMPORARY are PUBLIC's by default. The owner creates the schema "vaultdb".
DO $$
BEGIN
  EXECUTE pg_catalog.format(
    'REVOKE ALL ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
  EXECUTE pg_catalog.format(
    'GRANT CONNECT ON DATABASE %I TO vaultdb_owner, vaultdb_rw, vaultdb_ro, vaultdb_officer, '
    'vaultdb_rotator, vaultdb_migrator', pg_catalog.current_database());
  EXECUTE pg_catalog.format(
    'GRANT CREATE ON DATABASE %I TO vaultdb_owner', pg_catalog.current_database());
  -- The migrator is the owner from login on, so that whatever it creates belongs to the owner.
  EXECUTE pg_catalog.format(
    'ALTER ROLE vaultdb_migrator IN DATABASE %I SET role = ''vaultdb_owner''',
    pg_catalog.current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO vaultdb_owner;
GRANT USAGE ON SCHEMA public TO vaultdb_rw, vaultdb_ro;

-- There are no default GRANTs on tables on purpose: a new table stays closed until its migration
-- opens it, for instance with GRANT SELECT, INSERT, UPDATE, DELETE ON patient TO vaultdb_rw.
