-- How many leaves there are, and the newest checkpoint; it is NULL where there is none.
SELECT l.leaves, c.epoch, c.size, c.frontier, c.note
FROM (SELECT COALESCE(pg_catalog.max(index) + 1, 0) AS leaves FROM vaultdb_audit.leaf) AS l
LEFT JOIN LATERAL (
  SELECT epoch, size, frontier, note FROM vaultdb_audit.checkpoint
  ORDER BY epoch DESC, size DESC LIMIT 1
) AS c ON true
