SELECT e.chain, e.seq, e.at, e.body, e.mac, l.index, l.hash, e.recorded_at
FROM vaultdb_audit.event e LEFT JOIN vaultdb_audit.leaf l USING (chain, seq)
ORDER BY e.chain, e.seq, e.recorded_at
