-- Chains with records above what has a leaf, those that wait longest first. The next record is the
-- one after it; any other is behind a gap. Time in seconds, by the server's clock.
SELECT c.chain, c.sequenced, e.seq,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - e.recorded_at)::double precision AS waiting
FROM vaultdb_audit.chain AS c
CROSS JOIN LATERAL (
  SELECT seq, recorded_at FROM vaultdb_audit.event
  WHERE chain = c.chain AND seq > c.sequenced
  ORDER BY seq LIMIT 1
) AS e
WHERE NOT c.done AND (:everything OR c.opened_at > pg_catalog.clock_timestamp() - CAST(:recent AS interval))
ORDER BY e.recorded_at
