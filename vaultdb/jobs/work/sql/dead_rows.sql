-- What an UPDATE of each row leaves behind, of a table and its partitions.
SELECT
  coalesce(sum(pg_catalog.pg_stat_get_live_tuples(c.oid)), 0)::bigint AS live,
  coalesce(sum(pg_catalog.pg_stat_get_dead_tuples(c.oid)), 0)::bigint AS dead,
  pg_catalog.current_setting('autovacuum')::boolean
    AND bool_and(NOT coalesce(c.reloptions, '{}') && ARRAY['autovacuum_enabled=false',
      'autovacuum_enabled=off']) AS vacuumed,
  extract(epoch FROM pg_catalog.current_setting('autovacuum_naptime')::interval)::float AS naptime
FROM pg_catalog.pg_class c
WHERE c.oid = CAST(:table AS pg_catalog.regclass)
  OR c.oid IN (SELECT inhrelid FROM pg_catalog.pg_inherits
               WHERE inhparent = CAST(:table AS pg_catalog.regclass))
