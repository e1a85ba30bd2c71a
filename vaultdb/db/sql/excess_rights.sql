-- What the login of this session could do beyond reading and writing rows, one row per right.
-- Directly or after SET ROLE: what a role that it is a member of has counts as its own, whether
-- it is inherited or not. A superuser may do everything, so nothing else is listed then.
WITH reachable AS MATERIALIZED (
  SELECT oid, rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
  FROM pg_catalog.pg_roles
  WHERE pg_catalog.pg_has_role(session_user, oid, 'MEMBER')
), login AS MATERIALIZED (
  SELECT rolsuper AS is_super FROM pg_catalog.pg_roles WHERE rolname = session_user
), grantee AS MATERIALIZED (
  SELECT oid, rolname FROM reachable UNION ALL SELECT 0::oid, 'PUBLIC'
), relation AS MATERIALIZED (
  SELECT c.oid, c.relowner, c.relacl, n.nspname, c.relname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
    AND n.nspname <> 'information_schema'
    AND NOT pg_catalog.starts_with(n.nspname, 'pg_')
), found AS (
  SELECT r.rolname AS via, 'attribute' AS kind, a.name AS what, NULL AS schema, NULL AS object
  FROM reachable r, LATERAL (VALUES
    ('SUPERUSER', r.rolsuper), ('BYPASSRLS', r.rolbypassrls), ('CREATEROLE', r.rolcreaterole),
    ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication)
  ) AS a (name, is_set)
  WHERE a.is_set
  UNION ALL
  SELECT rolname, 'member', rolname, NULL, NULL FROM reachable
  WHERE rolname::text = ANY (%(closed_roles)s)
  UNION ALL
  SELECT r.rolname, 'owner', 'owner', t.nspname, t.relname
  FROM relation t JOIN reachable r ON r.oid = t.relowner
  UNION ALL
  SELECT g.rolname, 'table', acl.privilege_type, t.nspname, t.relname
  FROM relation t, LATERAL pg_catalog.aclexplode(t.relacl) acl JOIN grantee g ON g.oid = acl.grantee
  WHERE t.relacl IS NOT NULL AND acl.grantee <> t.relowner
    AND acl.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')
  UNION ALL
  SELECT r.rolname, 'schema', 'owner', n.nspname, NULL
  FROM pg_catalog.pg_namespace n JOIN reachable r ON r.oid = n.nspowner
  WHERE NOT pg_catalog.starts_with(n.nspname, 'pg_')
  UNION ALL
  SELECT g.rolname, 'schema', 'CREATE', n.nspname, NULL
  FROM pg_catalog.pg_namespace n, LATERAL pg_catalog.aclexplode(n.nspacl) acl
    JOIN grantee g ON g.oid = acl.grantee
  WHERE acl.privilege_type = 'CREATE' AND acl.grantee <> n.nspowner
  UNION ALL
  SELECT r.rolname, 'database', 'owner', NULL, d.datname
  FROM pg_catalog.pg_database d JOIN reachable r ON r.oid = d.datdba
  WHERE d.datname = pg_catalog.current_database()
  UNION ALL
  SELECT g.rolname, 'database', 'CREATE', NULL, d.datname
  FROM pg_catalog.pg_database d, LATERAL pg_catalog.aclexplode(d.datacl) acl
    JOIN grantee g ON g.oid = acl.grantee
  WHERE d.datname = pg_catalog.current_database()
    AND acl.privilege_type = 'CREATE' AND acl.grantee <> d.datdba
  UNION ALL
  SELECT DISTINCT g.rolname, 'key', acl.privilege_type, t.nspname, t.relname
  FROM relation t
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attacl IS NOT NULL,
    LATERAL (
      SELECT * FROM pg_catalog.aclexplode(t.relacl)
      UNION ALL SELECT * FROM pg_catalog.aclexplode(a.attacl)
    ) acl JOIN grantee g ON g.oid = acl.grantee
  WHERE t.nspname = 'vaultdb' AND t.relname = 'data_key' AND acl.grantee <> t.relowner
    AND acl.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
    AND NOT (acl.privilege_type = 'INSERT' AND %(may_add_keys)s)
)
SELECT found.via::text, found.kind, found.what::text, found.schema::text, found.object::text,
  session_user::text AS login
FROM found, login
WHERE NOT login.is_super OR (found.what = 'SUPERUSER' AND found.via = session_user)
ORDER BY found.kind, found.schema NULLS FIRST, found.object NULLS FIRST, found.what, found.via
