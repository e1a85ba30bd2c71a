-- A cut counts only for a chain whose opening is there: retention keeps it.
SELECT l.index, l.chain, l.seq
FROM vaultdb_audit.leaf l
WHERE NOT EXISTS (
    SELECT FROM vaultdb_audit.event e WHERE e.chain = l.chain AND e.seq = l.seq)
  AND NOT EXISTS (
    SELECT FROM vaultdb_audit.cut JOIN vaultdb_audit.chain c USING (chain)
    WHERE cut.chain = l.chain AND cut.seq >= l.seq)
ORDER BY l.index
