-- Who is logged in, and as whom a migration is to act: the owner of the schema that is there,
-- else the capability role. `owner` is quoted, and empty when there is no such role.
SELECT session_user::text AS login,
       s.rolsuper AS is_superuser,
       (SELECT r.rolname FROM pg_catalog.pg_roles r
         WHERE r.rolname = ANY (:app_roles) AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')
         ORDER BY 1 LIMIT 1) AS app_role,
       o.rolname AS owner,
       pg_catalog.quote_ident(o.rolname) AS quoted_owner,
       pg_catalog.pg_has_role(session_user, o.oid, 'MEMBER') AS is_member
FROM pg_catalog.pg_roles s
LEFT JOIN pg_catalog.pg_roles o ON o.rolname = coalesce(
  (SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace
    WHERE nspname = :schema), :owner)
WHERE s.rolname = session_user
