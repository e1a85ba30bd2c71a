INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac)
SELECT one.chain, one.seq, one.at, one.body, one.mac
FROM pg_catalog.unnest(
  %(chains)s::pg_catalog.uuid[], %(seqs)s::pg_catalog.int8[],
  %(ats)s::pg_catalog.text[], %(bodies)s::pg_catalog.text[], %(macs)s::pg_catalog.bytea[]
) AS one (chain, seq, at, body, mac)
