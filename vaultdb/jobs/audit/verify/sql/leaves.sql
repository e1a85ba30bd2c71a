SELECT index, hash FROM vaultdb_audit.leaf ORDER BY index
