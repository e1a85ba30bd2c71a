UPDATE vaultdb.job_chunk
SET position = NULL, worker = NULL, lease_until = NULL, started_at = NULL, finished_at = NULL
WHERE job = :job
