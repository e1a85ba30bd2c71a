-- What exists of the engine's login, as one row; :login, :schema and :leased are names.
SELECT
  current_setting('server_version_num')::int / 10000 AS major,
  current_user::text AS admin,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
  pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS may_signal,
  current_database()::text AS database,
  (
    SELECT jsonb_build_object(
      'LOGIN', rolcanlogin, 'INHERIT', rolinherit, 'CREATEROLE', rolcreaterole,
      'CREATEDB', rolcreatedb, 'SUPERUSER', rolsuper, 'REPLICATION', rolreplication,
      'BYPASSRLS', rolbypassrls)
    FROM pg_roles WHERE rolname = :login
  ) AS attributes,
  (
    -- one row for each grantor; in PostgreSQL 15 there are no such options
    SELECT jsonb_object_agg(rolname, options)
    FROM (
      SELECT granted.rolname, jsonb_build_array(
        bool_or(m.admin_option),
        coalesce(bool_or((to_jsonb(m) ->> 'inherit_option')::bool), true),
        coalesce(bool_or((to_jsonb(m) ->> 'set_option')::bool), true)) AS options
      FROM pg_auth_members m
      JOIN pg_roles granted ON granted.oid = m.roleid
      JOIN pg_roles member ON member.oid = m.member
      WHERE member.rolname = :login AND NOT starts_with(granted.rolname, :leased)
      GROUP BY granted.rolname
    ) AS memberships
  ) AS memberships,
  EXISTS (
    SELECT FROM pg_database, aclexplode(datacl) AS acl
    WHERE datname = current_database() AND acl.privilege_type = 'CONNECT'
      AND acl.grantee = (SELECT oid FROM pg_roles WHERE rolname = :login)
  ) AS connects,
  (
    SELECT jsonb_agg(DISTINCT coalesce(grantee.rolname, 'PUBLIC') || ' ' || acl.privilege_type)
    FROM pg_namespace n, aclexplode(n.nspacl) AS acl
    LEFT JOIN pg_roles grantee ON grantee.oid = acl.grantee
    WHERE n.nspname = :schema AND acl.grantee <> n.nspowner
  ) AS schema_grants,
  EXISTS (SELECT FROM pg_namespace WHERE nspname = :schema) AS has_schema,
  (SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = :schema) AS schema_owner,
  (
    SELECT jsonb_object_agg(p.proname, jsonb_build_object(
      'source', p.prosrc, 'definer', p.prosecdef, 'settings', p.proconfig,
      'grants', (
        SELECT jsonb_agg(coalesce(grantee.rolname, 'PUBLIC'))
        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS acl
        LEFT JOIN pg_roles grantee ON grantee.oid = acl.grantee
        WHERE acl.grantee <> p.proowner)))
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = :schema
  ) AS functions
