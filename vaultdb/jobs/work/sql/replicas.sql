-- How far the replicas are; what may be seen of them needs pg_read_all_stats.
SELECT
  pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint AS written,
  (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS replicas,
  (SELECT pg_catalog.pg_wal_lsn_diff(min(replay_lsn), '0/0')::bigint
   FROM pg_catalog.pg_stat_replication WHERE replay_lsn IS NOT NULL) AS replayed
