-- Records in a span of time; recorded_at chooses the partitions, at is what was authenticated.
SELECT chain, seq, at, body, mac FROM vaultdb_audit.event
WHERE recorded_at >= %(stored_since)s AND recorded_at < %(stored_until)s
  AND at COLLATE "C" >= %(since)s AND at COLLATE "C" < %(until)s
ORDER BY recorded_at DESC, chain DESC, seq DESC
