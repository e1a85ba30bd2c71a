-- Records that were stored since, the oldest first.
SELECT recorded_at, chain, seq, at, body, mac FROM vaultdb_audit.event
WHERE recorded_at >= %(since)s
ORDER BY recorded_at, chain, seq
