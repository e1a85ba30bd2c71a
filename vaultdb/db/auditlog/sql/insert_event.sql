INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac) VALUES (%s, %s, %s, %s, %s)
