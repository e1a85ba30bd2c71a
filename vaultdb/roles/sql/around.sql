-- What a plan needs to know beside the facts. Parameter: schemas text[].

SELECT
  current_setting('server_version_num')::int / 10000 AS major,
  quote_ident(current_database()) AS database,
  session_user::text AS login,
  quote_ident(current_user) AS acting,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
  (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user) AS is_creator,
  (SELECT coalesce(array_agg(quote_ident(rolname)), '{}') FROM pg_roles) AS roles,
  (SELECT coalesce(array_agg(quote_ident(rolname)), '{}') FROM pg_roles
   WHERE pg_has_role(oid, 'MEMBER')) AS memberships,
  -- columns and sequences that a declaration may name
  (SELECT coalesce(array_agg(format('%I.%I.%I', n.nspname, c.relname, a.attname)), '{}')
   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
   JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  -- columns that can hold ciphertext: the envelope domain, or what it is made of
  (SELECT coalesce(array_agg(format('%I.%I.%I', n.nspname, c.relname, a.attname)), '{}')
   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
   JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
   WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     AND a.attnum > 0 AND NOT a.attisdropped
     AND 'bytea'::regtype IN (t.oid, t.typbasetype)) AS binary_columns,
  -- who granted a membership: since 16, only they (or by their name) can take it back
  (SELECT coalesce(jsonb_agg(jsonb_build_array(quote_ident(r.rolname), quote_ident(m.rolname),
     quote_ident(g.rolname))), '[]')
   FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
   JOIN pg_roles g ON g.oid = a.grantor) AS grantors
