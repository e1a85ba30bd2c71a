-- What each role may do with each table: directly, or after any SET ROLE that it may do.
-- Parameters: schemas text[], roles text[], reach text ('SET' since 16, else 'MEMBER').
--
-- Rows are for vaultdb's roles, and for any other login that is no superuser and may do something.

SELECT quote_ident(l.rolname) AS who, l.rolcanlogin AS can_login,
  format('%I.%I', n.nspname, c.relname) AS object, p.privilege,
  bool_or(r.oid = l.oid AND here.on_table) AS on_table,
  bool_or(r.oid = l.oid AND here.on_columns) AS on_columns,
  bool_or(r.oid <> l.oid AND here.on_table) AS on_table_by_set_role,
  bool_or(r.oid <> l.oid AND here.on_columns) AS on_columns_by_set_role,
  bool_or(r.rolbypassrls) AS bypasses_rls
FROM pg_roles l
JOIN pg_roles r ON r.oid = l.oid OR pg_has_role(l.oid, r.oid, :reach)
CROSS JOIN pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
  'TRIGGER', 'OWNER']) AS p (privilege)
CROSS JOIN LATERAL (
  SELECT
    CASE WHEN p.privilege = 'OWNER' THEN pg_has_role(r.oid, c.relowner, 'USAGE')
      ELSE has_schema_privilege(r.oid, n.oid, 'USAGE')
        AND has_table_privilege(r.oid, c.oid, p.privilege) END AS on_table,
    p.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
      AND has_schema_privilege(r.oid, n.oid, 'USAGE')
      AND has_any_column_privilege(r.oid, c.oid,
        CASE WHEN p.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') THEN p.privilege
          ELSE 'SELECT' END) AS on_columns
) AS here
WHERE NOT l.rolsuper AND NOT r.rolsuper
  AND n.nspname = ANY(CAST(:schemas AS text[])) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (l.rolcanlogin OR l.rolname = ANY(CAST(:roles AS text[])))
  AND NOT starts_with(l.rolname, 'pg_')
GROUP BY 1, 2, 3, 4
HAVING bool_or(here.on_table OR here.on_columns)
ORDER BY 3, 2, 1, 4
