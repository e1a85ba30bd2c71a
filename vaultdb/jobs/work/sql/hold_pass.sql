-- One worker at a time looks whether a pass was the last one; until its transaction ends.
SELECT pg_try_advisory_xact_lock(hashtext('vaultdb.job'), CAST(:job AS integer))
