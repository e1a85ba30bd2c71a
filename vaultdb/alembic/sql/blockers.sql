-- Who blocks a session; ages in seconds, NULL where this login may not see them. No query text.
SELECT b.pid, a.usename AS login, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_age,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_age
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(:pid)) AS b (pid)
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
WHERE b.pid <> 0
