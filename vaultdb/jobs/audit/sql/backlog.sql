SELECT COALESCE(pg_catalog.sum(e.seq - c.sequenced), 0)::bigint
FROM vaultdb_audit.chain AS c
CROSS JOIN LATERAL (
  SELECT seq FROM vaultdb_audit.event
  WHERE chain = c.chain AND seq > c.sequenced
  ORDER BY seq DESC LIMIT 1
) AS e
WHERE NOT c.done
