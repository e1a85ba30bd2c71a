INSERT INTO vaultdb_audit.chain (chain, opening) VALUES (%(chain)s, %(opening)s)
