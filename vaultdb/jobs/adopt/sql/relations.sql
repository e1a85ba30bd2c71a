-- The files of a table, of its partitions, and of everything that repeats their columns.
WITH tables AS (
    SELECT relid AS oid FROM pg_catalog.pg_partition_tree(%(table)s::pg_catalog.regclass)
    UNION SELECT %(table)s::pg_catalog.regclass
), relations AS (
    SELECT 'table' AS kind, oid FROM tables
    UNION ALL
    SELECT 'index', indexrelid FROM pg_catalog.pg_index WHERE indrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT 'toast', reltoastrelid FROM pg_catalog.pg_class WHERE oid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT 'statistics', oid FROM pg_catalog.pg_class
    WHERE oid IN ('pg_catalog.pg_statistic'::pg_catalog.regclass,
                  'pg_catalog.pg_statistic_ext_data'::pg_catalog.regclass)
    UNION ALL
    SELECT 'statistics', reltoastrelid FROM pg_catalog.pg_class
    WHERE oid IN ('pg_catalog.pg_statistic'::pg_catalog.regclass,
                  'pg_catalog.pg_statistic_ext_data'::pg_catalog.regclass)
    UNION ALL
    SELECT 'elsewhere', oid FROM pg_catalog.pg_class WHERE %(everywhere)s
), first AS (
    SELECT DISTINCT ON (oid) kind, oid FROM relations
    ORDER BY oid, kind = 'elsewhere'
)
SELECT first.kind, first.oid::pg_catalog.regclass::text,
    pg_catalog.pg_relation_filepath(first.oid)
FROM first JOIN pg_catalog.pg_class AS c ON c.oid = first.oid
WHERE pg_catalog.pg_relation_filepath(first.oid) IS NOT NULL
    AND c.relpersistence <> 't'
ORDER BY pg_catalog.array_position(
    ARRAY['table', 'toast', 'index', 'statistics', 'elsewhere'], first.kind), 2
