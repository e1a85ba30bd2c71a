-- Who holds the advisory lock of migrations in this database; age in seconds where it may be seen.
SELECT l.pid, a.usename AS login,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_age
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND (l.classid::bigint << 32) | l.objid::bigint = pg_catalog.hashtext('vaultdb.migrate')::bigint
