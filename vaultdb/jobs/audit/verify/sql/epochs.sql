SELECT DISTINCT ON (epoch) epoch, size, note FROM vaultdb_audit.checkpoint ORDER BY epoch, size
