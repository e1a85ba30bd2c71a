INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac)
SELECT one.chain, one.seq, one.at, one.body, one.mac
FROM ROWS FROM (
  pg_catalog.unnest(%(chains)s::pg_catalog.uuid[]),
  pg_catalog.unnest(%(seqs)s::pg_catalog.int8[]),
  pg_catalog.unnest(%(ats)s::pg_catalog.text[]),
  pg_catalog.unnest(%(bodies)s::pg_catalog.text[]),
  pg_catalog.unnest(%(macs)s::pg_catalog.bytea[])
) AS one (chain, seq, at, body, mac)
