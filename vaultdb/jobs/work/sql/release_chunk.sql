UPDATE vaultdb.job_chunk
SET worker = NULL, lease_until = NULL
WHERE job = :job AND number = :number AND worker = :worker AND finished_at IS NULL
