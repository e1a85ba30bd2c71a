-- Change the password of a static login: the engine's login then needs no CREATEROLE, which in
-- PostgreSQL 15 could give anybody any role.
CREATE OR REPLACE FUNCTION {schema}.set_password(login name, verifier text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF login <> ALL (ARRAY[{logins}]::name[]) THEN
    RAISE insufficient_privilege USING MESSAGE = 'not a static login of vaultdb';
  END IF;
  IF NOT starts_with(verifier, 'SCRAM-SHA-256$') THEN
    RAISE invalid_password USING MESSAGE = 'not a SCRAM verifier';
  END IF;
  EXECUTE format('ALTER ROLE %I PASSWORD %L', login, verifier);
END
$$
