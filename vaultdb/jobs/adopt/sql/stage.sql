-- How far the adoption of a column has come, without counting rows.
SELECT
    (SELECT attnotnull FROM pg_catalog.pg_attribute
     WHERE attrelid = r.oid AND attname = %(plain)s AND NOT attisdropped),
    EXISTS (SELECT FROM pg_catalog.pg_attribute
            WHERE attrelid = r.oid AND attname = %(encrypted)s AND NOT attisdropped),
    EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = r.oid AND tgname = %(trigger)s),
    ARRAY(SELECT conname::text FROM pg_catalog.pg_constraint
          WHERE conrelid = r.oid AND contype = 'c' ORDER BY conname),
    ARRAY(SELECT pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
          WHERE conrelid = r.oid AND contype = 'c' ORDER BY conname),
    ARRAY(SELECT convalidated FROM pg_catalog.pg_constraint
          WHERE conrelid = r.oid AND contype = 'c' ORDER BY conname)
FROM (SELECT %(table)s::pg_catalog.regclass AS oid) AS r
