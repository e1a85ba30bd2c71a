-- The rate is that of one worker while it works, times the workers there are: a pause or a night
-- between two runs does not count.
SELECT j.passes, j.estimated_rows,
       count(c.*) AS chunks,
       count(c.finished_at) AS finished,
       coalesce(sum(c.seen) FILTER (WHERE c.finished_at IS NULL), 0) AS seen_open,
       coalesce(sum(c.seen) FILTER (WHERE c.started_at IS NOT NULL), 0) AS seen,
       coalesce(sum(c.changed), 0) AS changed,
       coalesce(sum(c.conflicts), 0) AS conflicts,
       (SELECT count(*) FROM vaultdb.job_quarantine AS q WHERE q.job = j.id) AS quarantined,
       count(*) FILTER (WHERE c.finished_at IS NULL AND c.lease_until > clock_timestamp()) AS workers,
       coalesce(extract(epoch FROM sum(
         coalesce(c.finished_at, least(c.lease_until, clock_timestamp())) - c.started_at
       )), 0) AS seconds
FROM vaultdb.job AS j LEFT JOIN vaultdb.job_chunk AS c ON c.job = j.id
WHERE j.id = :job
GROUP BY j.id
