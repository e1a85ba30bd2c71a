-- As revision 0002 has it; the reasons are there.
CREATE OR REPLACE FUNCTION vaultdb.keep_restrictions() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  states CONSTANT text[] := ARRAY['incoming', 'active', 'decrypt_only', 'disabled', 'destroyed'];
BEGIN
  IF OLD.state = 'destroyed'
    OR array_position(states, NEW.state) < array_position(states, OLD.state)
  THEN
    RAISE EXCEPTION 'a data key that is % stays so', OLD.state USING ERRCODE = '42501';
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER keep_restrictions BEFORE UPDATE ON vaultdb.data_key FOR EACH ROW
WHEN (OLD.state = 'destroyed' OR NEW.state <> OLD.state)
EXECUTE FUNCTION vaultdb.keep_restrictions()
