-- As revision 0001 has it; the reasons are there.
CREATE OR REPLACE FUNCTION vaultdb.bind_row(row_binding bytea, envelope bytea) RETURNS bytea
LANGUAGE plpgsql VOLATILE STRICT PARALLEL SAFE AS $$
BEGIN
  RETURN pg_catalog.int4send(pg_catalog.octet_length(row_binding))
    OPERATOR(pg_catalog.||) row_binding OPERATOR(pg_catalog.||) envelope;
END $$
