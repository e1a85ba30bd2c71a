UPDATE vaultdb_audit.chain AS c SET sequenced = w.seq, done = w.done
FROM ROWS FROM (
  pg_catalog.unnest(%(chains)s::pg_catalog.uuid[]),
  pg_catalog.unnest(%(seqs)s::pg_catalog.int8[]),
  pg_catalog.unnest(%(done)s::pg_catalog.bool[])
) AS w (chain, seq, done)
WHERE c.chain = w.chain
