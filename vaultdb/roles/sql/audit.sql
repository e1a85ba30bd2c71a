-- What nobody may change afterwards: the record of what operators did (`operation`), and the audit
-- log. Both belong to a role of its own that nobody is a member of, so that no migration can change
-- or drop them. A superuser still can, and what he does to the log `vaultdb audit verify` names.

CREATE TABLE IF NOT EXISTS vaultdb_audit.operation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  login text NOT NULL DEFAULT session_user,
  action text NOT NULL,
  object text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}'
);

COMMENT ON TABLE vaultdb_audit.operation IS 'what operators did to this database; append-only';

CREATE TABLE IF NOT EXISTS vaultdb_audit.chain (
  chain uuid PRIMARY KEY,
  opened_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  login text NOT NULL DEFAULT session_user,
  opening text NOT NULL,
  sequenced bigint NOT NULL DEFAULT -1,
  done boolean NOT NULL DEFAULT false
);

COMMENT ON TABLE vaultdb_audit.chain IS 'who opened each chain of the audit log, and how far it has leaves';

CREATE INDEX IF NOT EXISTS chain_open ON vaultdb_audit.chain (chain) WHERE NOT done;

CREATE TABLE IF NOT EXISTS vaultdb_audit.event (
  recorded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  chain uuid NOT NULL,
  seq bigint NOT NULL CHECK (seq >= 0),
  at text NOT NULL,
  body text NOT NULL,
  mac bytea NOT NULL CHECK (pg_catalog.octet_length(mac) = 32),
  PRIMARY KEY (chain, seq, recorded_at)
) PARTITION BY RANGE (recorded_at);

COMMENT ON TABLE vaultdb_audit.event IS 'the audit log, as it was authenticated; append-only, by month';

CREATE INDEX IF NOT EXISTS event_recorded_at ON vaultdb_audit.event (recorded_at);

CREATE TABLE IF NOT EXISTS vaultdb_audit.event_default PARTITION OF vaultdb_audit.event DEFAULT;

CREATE TABLE IF NOT EXISTS vaultdb_audit.leaf (
  index bigint PRIMARY KEY CHECK (index >= 0),
  chain uuid NOT NULL,
  seq bigint NOT NULL,
  hash bytea NOT NULL CHECK (pg_catalog.octet_length(hash) = 32),
  UNIQUE (chain, seq)
);

COMMENT ON TABLE vaultdb_audit.leaf IS 'the leaves of the Merkle tree over the audit log, in order';

CREATE TABLE IF NOT EXISTS vaultdb_audit.checkpoint (
  epoch integer NOT NULL DEFAULT 1 CHECK (epoch >= 1),
  size bigint NOT NULL CHECK (size >= 0),
  frontier bytea NOT NULL,
  note text NOT NULL,
  signed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (epoch, size)
);

COMMENT ON TABLE vaultdb_audit.checkpoint IS 'signed sizes and roots of the Merkle tree over the audit log';

CREATE TABLE IF NOT EXISTS vaultdb_audit.cut (
  chain uuid NOT NULL,
  seq bigint NOT NULL,
  mac bytea NOT NULL,
  month date NOT NULL,
  PRIMARY KEY (chain, seq)
);

COMMENT ON TABLE vaultdb_audit.cut IS 'the last dropped record of chains whose beginning is past retention';

-- Stops mistakes, also a superuser's; against the application the missing privileges stand.
CREATE OR REPLACE FUNCTION vaultdb_audit.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID);
BEGIN
  -- make_partitions moves rows to the partition of their month, as the owner.
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'event_default' AND current_user = owner THEN
    RETURN OLD;
  END IF;
  -- A chain may only become longer, and then be done.
  IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'chain' THEN
    IF (NEW.chain, NEW.opened_at, NEW.login, NEW.opening)
        IS NOT DISTINCT FROM (OLD.chain, OLD.opened_at, OLD.login, OLD.opening)
      AND NEW.sequenced >= OLD.sequenced AND NEW.done >= OLD.done
    THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'vaultdb_audit.% is append-only', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE FUNCTION vaultdb_audit.make_partitions(months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first timestamptz := date_trunc('month', clock_timestamp(), 'UTC');
  oldest timestamptz;
  month timestamptz;
  made integer := 0;
  part text;
BEGIN
  SELECT date_trunc('month', min(recorded_at), 'UTC') INTO oldest FROM vaultdb_audit.event_default;
  month := least(first, oldest);
  WHILE month <= first + make_interval(months => least(months, 24)) LOOP
    part := to_char(month AT TIME ZONE 'UTC', '"event_"YYYY_MM');
    IF to_regclass('vaultdb_audit.' || part) IS NULL THEN
      -- Before any lock is taken on the default partition, so that writers wait for one step only.
      EXECUTE format('CREATE TABLE vaultdb_audit.%I (LIKE vaultdb_audit.event INCLUDING ALL)', part);
      LOCK TABLE vaultdb_audit.event_default IN ACCESS EXCLUSIVE MODE;
      EXECUTE format('WITH moved AS (DELETE FROM vaultdb_audit.event_default'
        ' WHERE recorded_at >= %L AND recorded_at < %L RETURNING *)'
        ' INSERT INTO vaultdb_audit.%I SELECT * FROM moved', month, month + interval '1 month', part);
      EXECUTE format('ALTER TABLE vaultdb_audit.event ATTACH PARTITION vaultdb_audit.%I'
        ' FOR VALUES FROM (%L) TO (%L)', part, month, month + interval '1 month');
      EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.%I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change()', part);
      made := made + 1;
    END IF;
    month := month + interval '1 month';
  END LOOP;
  RETURN made;
END $$;

COMMENT ON FUNCTION vaultdb_audit.make_partitions(integer) IS 'makes the partitions of the log for this month and the next ones';

CREATE OR REPLACE FUNCTION vaultdb_audit.drop_partition(month date, upto bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  part text := to_char(month, '"event_"YYYY_MM');
  held bigint;
  wrong bigint;
BEGIN
  IF to_regclass('vaultdb_audit.' || part) IS NULL THEN
    RAISE EXCEPTION 'the audit log has no month %', to_char(month, 'YYYY-MM')
      USING ERRCODE = 'undefined_table';
  END IF;
  EXECUTE format('LOCK TABLE vaultdb_audit.%I IN ACCESS EXCLUSIVE MODE', part);
  EXECUTE format('SELECT count(*), count(*) FILTER (WHERE l.index IS NULL OR l.index >= $1)'
    ' FROM vaultdb_audit.%I e LEFT JOIN vaultdb_audit.leaf l USING (chain, seq)', part)
    INTO held, wrong USING upto;
  IF wrong > 0 THEN
    RAISE EXCEPTION '% of % events of the month have no leaf below %', wrong, held, upto
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  EXECUTE format('SELECT count(*) FROM (SELECT chain, max(seq) AS last FROM vaultdb_audit.%1$I'
    ' GROUP BY chain) d JOIN vaultdb_audit.event e ON e.chain = d.chain AND e.seq < d.last'
    ' WHERE e.tableoid <> %2$L::regclass', part, 'vaultdb_audit.' || part) INTO wrong;
  IF wrong > 0 THEN
    RAISE EXCEPTION 'an older month of the audit log is still there; drop that first'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  EXECUTE format('INSERT INTO vaultdb_audit.cut (chain, seq, mac, month)'
    ' SELECT DISTINCT ON (chain) chain, seq, mac, $1 FROM vaultdb_audit.%I'
    ' ORDER BY chain, seq DESC', part) USING date_trunc('month', month)::date;
  EXECUTE format('ALTER TABLE vaultdb_audit.event DETACH PARTITION vaultdb_audit.%I', part);
  EXECUTE format('DROP TABLE vaultdb_audit.%I', part);
  RETURN held;
END $$;

COMMENT ON FUNCTION vaultdb_audit.drop_partition(date, bigint) IS 'drops a month of the log whose events all have leaves below a checkpoint';

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON vaultdb_audit.operation
  FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.operation
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON vaultdb_audit.chain
  FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.chain
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON vaultdb_audit.event
  FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.event
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.event_default
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON vaultdb_audit.leaf
  FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.leaf
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON vaultdb_audit.checkpoint
  FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.checkpoint
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON vaultdb_audit.cut
  FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.refuse_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON vaultdb_audit.cut
  FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change();

SELECT vaultdb_audit.make_partitions(2);

DO $$
DECLARE
  name regclass;
BEGIN
  FOR name IN
    SELECT inhrelid FROM pg_catalog.pg_inherits
    WHERE inhparent = 'vaultdb_audit.event'::regclass AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = inhrelid AND tgname = 'refuse_truncate')
  LOOP
    EXECUTE pg_catalog.format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %s'
      ' FOR EACH STATEMENT EXECUTE FUNCTION vaultdb_audit.refuse_change()', name);
  END LOOP;
  FOR name IN
    SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'vaultdb_audit' AND c.relkind IN ('r', 'p') AND EXISTS (
      SELECT FROM pg_catalog.pg_trigger t
      WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'O')
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE TRIGGER USER', name);
  END LOOP;
END $$;
