SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE l.index IS NULL OR l.index >= :upto)
FROM vaultdb_audit.event AS e
LEFT JOIN vaultdb_audit.leaf AS l USING (chain, seq)
WHERE e.recorded_at >= CAST(:month AS timestamp) AT TIME ZONE 'UTC'
  AND e.recorded_at < (CAST(:month AS timestamp) + interval '1 month') AT TIME ZONE 'UTC'
