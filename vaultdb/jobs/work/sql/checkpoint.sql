-- No row comes back when the lease was lost: then the rows must not be committed either.
UPDATE vaultdb.job_chunk AS c
SET position = coalesce(CAST(:position AS jsonb), c.position),
    seen = c.seen + :seen,
    changed = c.changed + :changed,
    conflicts = c.conflicts + :conflicts,
    quarantined = c.quarantined + :quarantined,
    lease_until = clock_timestamp() + make_interval(secs => :lease),
    finished_at = CASE WHEN :finished THEN clock_timestamp() END
WHERE c.job = :job AND c.number = :number AND c.worker = :worker AND c.finished_at IS NULL
RETURNING (SELECT j.state FROM vaultdb.job AS j WHERE j.id = c.job)
