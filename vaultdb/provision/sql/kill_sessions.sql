-- End every session of a leased login, and of logins that were dropped while they logged in.
-- The engine's login may do neither itself: it is not a member of the logins that it makes.
-- Only leased logins: what the engine knows must not be enough to end anybody else's sessions.
CREATE OR REPLACE FUNCTION {schema}.kill_sessions(login name) RETURNS bigint
LANGUAGE sql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT count(pg_terminate_backend(pid))
  FROM pg_stat_activity
  WHERE backend_type = 'client backend'
    AND (
      (usename = login AND starts_with(login, {leased}))
      OR (usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles WHERE oid = usesysid))
    )
$$
