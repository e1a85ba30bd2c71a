-- What the planner knows about a table's columns, as text.
SELECT pg_catalog.concat_ws(' ', most_common_vals::text, histogram_bounds::text,
    most_common_elems::text)
FROM pg_catalog.pg_stats AS s
JOIN pg_catalog.pg_class AS c ON c.relname = s.tablename
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
WHERE c.oid IN (
    SELECT relid FROM pg_catalog.pg_partition_tree(%(table)s::pg_catalog.regclass)
    UNION SELECT %(table)s::pg_catalog.regclass)
