-- The roles of vaultdb, once per PostgreSQL cluster. Run as a superuser, or as a role with
-- CREATEROLE; run again at will. Give the login roles a password afterwards, for instance with
-- \password vaultdb_app in psql, which sends a SCRAM verifier and not the password.

-- Capability roles own the objects and hold the privileges; nobody logs in as one of them.
-- Login roles hold nothing of their own, they are only members.
DO $$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN SELECT * FROM (VALUES
    ('vaultdb_owner',       'NOLOGIN'),
    ('vaultdb_rw',          'NOLOGIN'),
    ('vaultdb_ro',          'NOLOGIN'),
    ('vaultdb_officer',     'NOLOGIN'),
    ('vaultdb_rotator',     'NOLOGIN'),
    ('vaultdb_migrator',    'LOGIN'),
    ('vaultdb_app',         'LOGIN'),
    ('vaultdb_key_officer', 'LOGIN'),
    ('vaultdb_key_rotator', 'LOGIN')
  ) AS role (name, kind)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted.name) THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I %s', wanted.name, wanted.kind);
    END IF;
  END LOOP;
END
$$;

GRANT vaultdb_owner   TO vaultdb_migrator;
GRANT vaultdb_rw      TO vaultdb_app;
GRANT vaultdb_officer TO vaultdb_key_officer;
GRANT vaultdb_rotator TO vaultdb_key_rotator;
