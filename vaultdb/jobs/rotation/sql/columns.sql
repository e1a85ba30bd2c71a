-- The declared columns that the database has, and every other column of the domain vaultdb.envelope
-- wherever rows are stored. A partition or a child is read through its parent.
WITH declared AS (
  SELECT d.position, d.column_name,
         pg_catalog.to_regclass(
           CASE WHEN d.schema_name = '' THEN '' ELSE pg_catalog.quote_ident(d.schema_name) || '.' END
           || pg_catalog.quote_ident(d.table_name)) AS relation
  FROM unnest(
    CAST(:schemas AS text[]), CAST(:tables AS text[]), CAST(:columns AS text[])
  ) WITH ORDINALITY AS d (schema_name, table_name, column_name, position)
),
applying AS (
  SELECT p.polrelid, p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS rule
  FROM pg_catalog.pg_policy AS p
  WHERE p.polcmd IN ('r', '*')
    AND (p.polroles = '{0}'
         OR EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS r (id)
                    WHERE CASE WHEN r.id = 0 THEN true
                               ELSE pg_catalog.pg_has_role(r.id, 'USAGE') END))
)
SELECT n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name,
       d.position, c.reltuples::bigint AS estimated_rows,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE')
         AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') AS is_readable,
       pg_catalog.row_security_active(c.oid) AND NOT (
         EXISTS (SELECT FROM applying AS p
                 WHERE p.polrelid = c.oid AND p.polpermissive AND p.rule = 'true')
         AND NOT EXISTS (SELECT FROM applying AS p
                         WHERE p.polrelid = c.oid AND NOT p.polpermissive
                           AND p.rule IS DISTINCT FROM 'true')
       ) AS hides_rows
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN declared AS d ON d.relation = c.oid AND d.column_name = a.attname
WHERE a.attnum > 0 AND NOT a.attisdropped
  AND (d.position IS NOT NULL
       OR c.relkind IN ('r', 'p', 'm', 'f') AND a.attinhcount = 0
          AND a.atttypid = (SELECT t.oid FROM pg_catalog.pg_type AS t
                            JOIN pg_catalog.pg_namespace AS s ON s.oid = t.typnamespace
                            WHERE s.nspname = 'vaultdb' AND t.typname = 'envelope'))
ORDER BY n.nspname, c.relname, a.attnum
