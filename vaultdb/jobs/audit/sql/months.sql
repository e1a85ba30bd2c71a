SELECT c.relname,
  pg_catalog.to_date(pg_catalog.substring(c.relname, '^event_([0-9]{4}_[0-9]{2})$'), 'YYYY_MM') AS month,
  c.reltuples::bigint, pg_catalog.pg_total_relation_size(c.oid)
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'vaultdb_audit.event'::pg_catalog.regclass
ORDER BY month NULLS LAST
