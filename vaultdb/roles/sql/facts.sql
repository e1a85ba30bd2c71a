-- Every fact about access in this database: fact, kind, object, who, value, extra; one row each.
--
-- Read by any login: it uses catalogues that everybody may read. To be run with an empty
-- search_path, so that functions and expressions print the same for everybody.
-- Parameters: schemas text[], prefix text (of the roles), roles text[] (the capability roles).

WITH RECURSIVE
ns AS (
  SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = ANY(CAST(:schemas AS text[]))
),
-- What an extension brought is the extension's business.
extended AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
rel AS (
  SELECT c.*, format('%I.%I', ns.nspname, c.relname) AS name
  FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
),
fn AS (
  SELECT p.*, p.oid::regprocedure::text AS name, ns.nspname
  FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
),
ty AS (
  SELECT t.*, format('%I.%I', ns.nspname, t.typname) AS name
  FROM pg_type t JOIN ns ON ns.oid = t.typnamespace
  WHERE (t.typtype IN ('d', 'e', 'r')
         OR t.typtype = 'c' AND (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
    AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
),
-- vaultdb's own roles, leased logins, and whoever is a member of one, however far.
scoped AS (
  SELECT oid FROM pg_roles
  WHERE starts_with(rolname, :prefix) OR rolname = ANY(CAST(:roles AS text[]))
     OR starts_with(rolname, 'v_' || :prefix) OR starts_with(rolname, 'v_vaultdb_')
  UNION
  SELECT m.member FROM pg_auth_members m JOIN scoped s ON s.oid = m.roleid
),
acl AS (
  SELECT 'database' AS kind, quote_ident(datname) AS name, datdba AS owner,
    coalesce(datacl, acldefault('d', datdba)) AS items
  FROM pg_database WHERE datname = current_database()
  UNION ALL
  SELECT 'schema', quote_ident(nspname), nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM ns
  UNION ALL
  SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, name, relowner,
    coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, relowner))
  FROM rel
  UNION ALL
  SELECT 'column', format('%s.%I', rel.name, a.attname), rel.relowner, a.attacl
  FROM pg_attribute a JOIN rel ON rel.oid = a.attrelid
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
  UNION ALL
  SELECT 'function', name, proowner, coalesce(proacl, acldefault('f', proowner)) FROM fn
  UNION ALL
  SELECT 'type', name, typowner, coalesce(typacl, acldefault('T', typowner)) FROM ty
),
-- What a new object is born with: the stored default, else PostgreSQL's own for the two owners.
born AS (
  SELECT kind, r.oid AS role, '*' AS place,
    coalesce(d.defaclacl, acldefault(CASE letter WHEN 'S' THEN 's' ELSE letter END, r.oid)) AS items
  FROM pg_roles r
  CROSS JOIN (VALUES
    ('tables', 'r'::"char"), ('sequences', 'S'), ('functions', 'f'), ('types', 'T'), ('schemas', 'n')
  ) AS k (kind, letter)
  LEFT JOIN pg_default_acl d
    ON d.defaclrole = r.oid AND d.defaclnamespace = 0 AND d.defaclobjtype = k.letter
  WHERE r.rolname = ANY((CAST(:roles AS text[]))[1:2]) OR d.oid IS NOT NULL
  UNION ALL
  SELECT CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
      WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' ELSE defaclobjtype::text END,
    defaclrole, quote_ident(ns.nspname), defaclacl
  FROM pg_default_acl JOIN ns ON ns.oid = defaclnamespace
)

SELECT 'grant' AS fact, kind, name AS object,
  CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS who,
  x.privilege_type AS value,
  -- What somebody else than the owner granted, only that grantor or a cascade can revoke.
  concat_ws(' ', CASE WHEN x.is_grantable THEN 'GRANT OPTION' END,
    CASE WHEN x.grantor <> owner THEN 'BY ' || quote_ident(pg_get_userbyid(x.grantor)) END) AS extra
FROM acl, aclexplode(items) x WHERE x.grantee <> owner

UNION ALL
SELECT 'grant', 'parameter', parname,
  CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
  x.privilege_type, CASE WHEN x.is_grantable THEN 'GRANT OPTION' ELSE '' END
FROM pg_parameter_acl, aclexplode(paracl) x WHERE x.grantee <> 10  -- the bootstrap superuser

UNION ALL
SELECT 'owner', kind, name, quote_ident(pg_get_userbyid(owner)), '', '' FROM acl WHERE kind <> 'column'

UNION ALL
SELECT 'default', kind, format('%I:%s', pg_get_userbyid(role), place),
  CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
  x.privilege_type, CASE WHEN x.is_grantable THEN 'GRANT OPTION' ELSE '' END
FROM born, aclexplode(items) x WHERE x.grantee <> role

UNION ALL
SELECT 'rls', 'table', name, '', CASE WHEN relrowsecurity THEN 'enabled' ELSE 'disabled' END,
  CASE WHEN relforcerowsecurity THEN 'forced' ELSE '' END
FROM rel WHERE relkind IN ('r', 'p') AND (relrowsecurity OR relforcerowsecurity)

UNION ALL
SELECT 'policy',
  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
    WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
  format('%s.%I', rel.name, p.polname),
  (SELECT string_agg(role, ',' ORDER BY role COLLATE "C") FROM (
     SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END AS role
     FROM unnest(p.polroles) r) AS roles),
  coalesce(pg_get_expr(p.polqual, p.polrelid), ''),
  CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END
    || '|' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_policy p JOIN rel ON rel.oid = p.polrelid

UNION ALL
SELECT 'role', 'attributes', quote_ident(rolname), '',
  concat_ws(' ',
    CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
    CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
    CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
    CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
    CASE WHEN rolbypassrls THEN 'BYPASSRLS' END),
  rolconnlimit::text
FROM pg_roles WHERE oid IN (SELECT oid FROM scoped)

-- PostgreSQL 15 has no options per membership: whether it is inherited is the member's attribute.
UNION ALL
SELECT 'member', 'role', quote_ident(r.rolname), quote_ident(m.rolname),
  CASE WHEN bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, m.rolinherit))
    THEN 'INHERIT' ELSE 'NOINHERIT' END,
  concat_ws(' ', CASE WHEN bool_or(a.admin_option) THEN 'ADMIN' END,
    CASE WHEN NOT bool_or(coalesce((to_jsonb(a) ->> 'set_option')::boolean, true)) THEN 'NOSET' END)
FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
WHERE a.roleid IN (SELECT oid FROM scoped) OR a.member IN (SELECT oid FROM scoped)
GROUP BY r.rolname, m.rolname

UNION ALL
SELECT 'setting', CASE WHEN s.setdatabase = 0 THEN 'cluster' ELSE 'database' END,
  split_part(item, '=', 1), coalesce(quote_ident(r.rolname), ''),
  substr(item, strpos(item, '=') + 1), ''
FROM pg_db_role_setting s
LEFT JOIN pg_roles r ON r.oid = s.setrole
CROSS JOIN unnest(s.setconfig) AS item
WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM scoped))

UNION ALL
SELECT 'definer', 'function', name, quote_ident(pg_get_userbyid(proowner)),
  coalesce(array_to_string(proconfig, ';'), ''), ''
FROM fn WHERE prosecdef

-- The source of vaultdb's own functions, as a digest.
UNION ALL
SELECT 'source', l.lanname, fn.name, '',
  encode(sha256(convert_to(fn.prosrc, 'UTF8')), 'hex'),
  concat_ws(' ', CASE fn.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
    CASE WHEN fn.proisstrict THEN 'STRICT' END, CASE WHEN fn.prosecdef THEN 'DEFINER' END,
    array_to_string(fn.proconfig, ';'))
FROM fn JOIN pg_language l ON l.oid = fn.prolang WHERE starts_with(fn.nspname, 'vaultdb')

UNION ALL
SELECT 'trigger', CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'A' THEN 'always'
    WHEN 'R' THEN 'replica' ELSE 'disabled' END,
  format('%s.%I', rel.name, t.tgname), quote_ident(pg_get_userbyid(p.proowner)),
  pg_get_triggerdef(t.oid), CASE WHEN p.prosecdef THEN 'DEFINER' ELSE '' END
FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal

UNION ALL
SELECT 'rule', 'table', format('%s.%I', rel.name, w.rulename), '', pg_get_ruledef(w.oid), ''
FROM pg_rewrite w JOIN rel ON rel.oid = w.ev_class WHERE w.rulename <> '_RETURN'

UNION ALL
SELECT 'view', CASE WHEN coalesce(rel.reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on']
    THEN 'invoker' ELSE 'definer' END,
  name, quote_ident(pg_get_userbyid(relowner)), '', ''
FROM rel WHERE relkind = 'v'

UNION ALL
SELECT 'publication', CASE
    WHEN p.puballtables THEN 'all'
    WHEN EXISTS (SELECT FROM pg_publication_rel x JOIN rel ON rel.oid = x.prrelid
                 WHERE x.prpubid = p.oid AND rel.name = format('%I.%I', pt.schemaname, pt.tablename))
    THEN 'table' ELSE 'schema' END, quote_ident(p.pubname),
  quote_ident(pg_get_userbyid(p.pubowner)), format('%I.%I', pt.schemaname, pt.tablename), ''
FROM pg_publication p JOIN pg_publication_tables pt USING (pubname)
WHERE pt.schemaname = ANY(CAST(:schemas AS text[]))

-- Anybody may make large objects unless these are closed, and pg_dump then fails for the backup role.
UNION ALL
SELECT 'grant', 'function', 'pg_catalog.' || p.oid::regprocedure::text, 'PUBLIC', x.privilege_type,
  CASE WHEN x.is_grantable THEN 'GRANT OPTION' ELSE '' END
FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND x.grantee = 0
  AND p.proname IN ('lo_create', 'lo_creat', 'lo_from_bytea', 'lo_import')

-- PostgreSQL's own functions and tables, granted to one of vaultdb's roles: none of them needs any.
UNION ALL
SELECT 'grant', kind, name, quote_ident(pg_get_userbyid(x.grantee)), x.privilege_type,
  CASE WHEN x.is_grantable THEN 'GRANT OPTION' ELSE '' END
FROM (
  SELECT 'function' AS kind, 'pg_catalog.' || oid::regprocedure::text AS name, proacl AS items
  FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proacl IS NOT NULL
  UNION ALL
  SELECT 'table', format('pg_catalog.%I', relname), relacl
  FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relacl IS NOT NULL
  UNION ALL
  SELECT 'column', format('pg_catalog.%I.%I', relname, attname), attacl
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
  WHERE relnamespace = 'pg_catalog'::regnamespace AND attacl IS NOT NULL
) AS of_the_server, aclexplode(items) x
WHERE x.grantee IN (SELECT oid FROM scoped)

UNION ALL
SELECT 'event_trigger', CASE evtenabled WHEN 'D' THEN 'disabled' ELSE 'enabled' END, quote_ident(evtname),
  quote_ident(pg_get_userbyid(evtowner)), evtevent, ''
FROM pg_event_trigger

UNION ALL
SELECT 'server', 'setting', name, '', setting, '' FROM pg_settings
WHERE name IN ('log_statement', 'log_parameter_max_length_on_error', 'password_encryption',
  'row_security', 'session_replication_role', 'ssl')
