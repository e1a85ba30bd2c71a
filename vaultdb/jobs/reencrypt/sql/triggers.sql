-- Bits of tgtype: 2 before, 16 update.
SELECT DISTINCT t.tgname::text AS name, t.tgfoid::regproc::text AS function,
       (t.tgtype & 2) <> 0 AS before
FROM pg_catalog.pg_trigger AS t
WHERE (t.tgrelid = CAST(:table AS regclass)
       OR t.tgrelid IN (SELECT p.relid FROM pg_partition_tree(CAST(:table AS regclass)) AS p))
  AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND (t.tgtype & 16) <> 0
  AND (t.tgattr = ''::int2vector OR EXISTS (
    SELECT FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::int2[])
      AND a.attname = ANY (CAST(:columns AS text[]))
  ))
ORDER BY before DESC, name
