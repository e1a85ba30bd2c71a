COPY vaultdb_audit.leaf (index, chain, seq, hash) FROM STDIN (FORMAT BINARY)
