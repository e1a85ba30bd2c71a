-- A chunk that is free, or whose worker has not been heard of for as long as its lease, or that the
-- same worker dropped when its connection broke.
UPDATE vaultdb.job_chunk AS c
SET worker = :worker,
    lease_until = clock_timestamp() + make_interval(secs => :lease),
    started_at = coalesce(c.started_at, clock_timestamp())
FROM (
  SELECT f.job, f.number
  FROM vaultdb.job_chunk AS f
  WHERE f.job = :job AND f.finished_at IS NULL
    AND (f.lease_until IS NULL OR f.lease_until < clock_timestamp() OR f.worker = :worker)
    AND (SELECT j.state FROM vaultdb.job AS j WHERE j.id = f.job) = 'running'
  ORDER BY f.number
  LIMIT 1
  FOR UPDATE SKIP LOCKED
) AS free
WHERE c.job = free.job AND c.number = free.number
RETURNING c.number, c.lower, c.upper, c.position
