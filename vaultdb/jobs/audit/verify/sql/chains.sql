-- The month is the oldest one that the chain was cut with: it cannot have been opened after that.
SELECT c.chain, c.opening, c.sequenced, c.done, cut.seq, cut.mac,
  pg_catalog.to_char(cut.month, 'YYYY-MM')
FROM vaultdb_audit.chain c
LEFT JOIN LATERAL (
  SELECT seq, mac, pg_catalog.min(month) OVER () AS month
  FROM vaultdb_audit.cut WHERE cut.chain = c.chain ORDER BY seq DESC LIMIT 1
) cut ON true
ORDER BY c.chain
