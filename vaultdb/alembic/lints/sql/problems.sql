-- What the catalogues show of encrypted columns that no migration should have left: rule, message.
WITH encrypted AS (
  SELECT c.oid AS relid, a.attnum, a.attname, a.attstorage,
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, n.nspname, c.relname
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE a.atttypid = pg_catalog.to_regtype('vaultdb.envelope') AND NOT a.attisdropped
    AND c.relkind IN ('r', 'p')
)
SELECT 'index-on-ciphertext' AS rule,
  pg_catalog.format('index %s is over %s.%I', i.indexrelid::pg_catalog.regclass, e.name, e.attname) AS message
FROM encrypted e JOIN pg_catalog.pg_index i ON i.indrelid = e.relid
WHERE e.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])

UNION ALL
SELECT 'storage-not-external',
  pg_catalog.format('%s.%I is compressed, which ciphertext does not yield to', name, attname)
FROM encrypted WHERE attstorage <> 'e'

UNION ALL
SELECT DISTINCT 'view-runs-as-owner',
  pg_catalog.format('view %s reads %s as its owner, past policies and grants', v.oid::pg_catalog.regclass, e.name)
FROM encrypted e
JOIN pg_catalog.pg_depend d ON d.refobjid = e.relid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
JOIN pg_catalog.pg_class v ON v.oid = w.ev_class AND v.oid <> e.relid
WHERE v.relkind = 'm' OR v.relkind = 'v' AND NOT coalesce(v.reloptions, '{}')
  && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes']

UNION ALL
SELECT DISTINCT 'encrypted-table-published', pg_catalog.format('%s is published with ciphertext by %I', e.name, p.pubname)
FROM encrypted e JOIN pg_catalog.pg_publication_tables p
  ON p.schemaname = e.nspname AND p.tablename = e.relname AND e.attname = ANY (p.attnames)

UNION ALL
SELECT DISTINCT 'bound-key-changed',
  pg_catalog.format('foreign key %I of %s changes the key that values are bound to', k.conname, e.name)
FROM encrypted e
JOIN pg_catalog.pg_index i ON i.indrelid = e.relid AND i.indisprimary
JOIN pg_catalog.pg_constraint k ON k.conrelid = e.relid AND k.contype = 'f' AND k.confupdtype IN ('c', 'n', 'd')
WHERE k.conkey && i.indkey::pg_catalog.int2[]
ORDER BY 1, 2
