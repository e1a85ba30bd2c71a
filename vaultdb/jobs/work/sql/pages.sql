-- Pages of a table and of its partitions.
WITH RECURSIVE part (id) AS (
  SELECT CAST(%s AS regclass)::oid
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN part AS p ON i.inhparent = p.id
)
SELECT coalesce(sum(pg_relation_size(id)), 0)::bigint / current_setting('block_size')::bigint
FROM part
