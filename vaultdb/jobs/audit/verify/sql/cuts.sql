-- The records that are gone for each month that was dropped, as the leaves know them.
SELECT pg_catalog.to_char(m.month, 'YYYY-MM'), pg_catalog.count(l.index), pg_catalog.max(l.index)
FROM (SELECT DISTINCT month FROM vaultdb_audit.cut) m
LEFT JOIN (
  vaultdb_audit.leaf l
  JOIN LATERAL (
    SELECT month FROM vaultdb_audit.cut WHERE cut.chain = l.chain AND cut.seq >= l.seq
    ORDER BY seq LIMIT 1
  ) c ON true
) ON c.month = m.month AND NOT EXISTS (
  SELECT FROM vaultdb_audit.event e WHERE e.chain = l.chain AND e.seq = l.seq)
GROUP BY m.month ORDER BY m.month
