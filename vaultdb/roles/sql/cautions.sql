-- What is no fact about vaultdb's roles, and dangerous to them all the same.
-- Parameters: schemas text[] (those that are looked into anyway), prefix text.

-- Until 15, whoever may create roles may also make itself a member of any that is no superuser.
SELECT 'creator' AS caution, quote_ident(rolname) AS name
FROM pg_roles
WHERE rolcreaterole AND NOT rolsuper AND current_setting('server_version_num')::int < 160000

UNION ALL
SELECT 'open schema', quote_ident(nspname)
FROM pg_namespace, aclexplode(nspacl) x
WHERE x.grantee = 0 AND x.privilege_type = 'CREATE' AND nspname <> ALL(CAST(:schemas AS text[]))

-- A lease that Vault gave up on: nobody drops its login any more.
UNION ALL
SELECT CASE
    WHEN NOT rolcanlogin THEN 'locked lease'
    WHEN rolvaliduntil < now() THEN 'expired lease'
    ELSE 'lease without a role' END,
  quote_ident(rolname)
FROM pg_roles r
WHERE (starts_with(rolname, 'v_vaultdb_') OR starts_with(rolname, 'v_' || :prefix))
  AND (NOT rolcanlogin OR rolvaliduntil < now()
       OR NOT EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid))

ORDER BY 1, 2
