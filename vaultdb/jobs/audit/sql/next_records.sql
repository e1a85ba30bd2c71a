SELECT w.chain, e.seq, e.at, e.body, e.mac
FROM ROWS FROM (
  pg_catalog.unnest(%(chains)s::pg_catalog.uuid[]),
  pg_catalog.unnest(%(sequenced)s::pg_catalog.int8[])
) AS w (chain, sequenced)
CROSS JOIN LATERAL (
  SELECT seq, at, body, mac FROM vaultdb_audit.event
  WHERE chain = w.chain AND seq > w.sequenced
  ORDER BY seq, recorded_at LIMIT %(each)s
) AS e
