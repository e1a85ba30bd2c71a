SELECT w.key_id
FROM (
  SELECT DISTINCT ON (k.tenant, k.subject) k.key_id, k.state
  FROM vaultdb.data_key AS k
  WHERE k.realm = %(realm)s AND k.keyset = %(keyset)s AND k.purpose = %(purpose)s
    AND k.state <> 'destroyed' AND (k.state <> 'incoming' OR %(incoming)s)
  ORDER BY k.tenant, k.subject, k.version DESC
) AS w
WHERE w.state IN ('active', 'incoming')
LIMIT %(limit)s
