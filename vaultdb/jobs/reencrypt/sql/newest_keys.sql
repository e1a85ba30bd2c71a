-- For each key id the DEK that writes in its scope: the highest version, if that is active.
SELECT k.key_id, k.tenant, k.keyset, k.state,
       (SELECT CASE WHEN n.state = 'active' THEN n.key_id END
        FROM vaultdb.data_key AS n
        WHERE n.realm = k.realm AND n.tenant = k.tenant AND n.keyset = k.keyset
          AND n.purpose = k.purpose AND n.subject = k.subject AND n.state <> 'destroyed'
        ORDER BY n.version DESC LIMIT 1)
FROM vaultdb.data_key AS k
WHERE k.realm = %s AND k.purpose = 'data' AND k.key_id = ANY(%s::bytea[])
