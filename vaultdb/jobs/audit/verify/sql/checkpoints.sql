SELECT epoch, size, note FROM vaultdb_audit.checkpoint ORDER BY size, epoch
