SELECT c.chain, c.opening, c.sequenced, c.done, cut.seq, cut.mac, cut.month
FROM vaultdb_audit.chain c
LEFT JOIN LATERAL (
  SELECT seq, mac, month FROM vaultdb_audit.cut WHERE cut.chain = c.chain ORDER BY seq DESC LIMIT 1
) cut ON true
ORDER BY c.chain
