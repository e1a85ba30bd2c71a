(SELECT k.state = 'active' AND NOT EXISTS (
    SELECT FROM vaultdb.data_key AS n
    WHERE n.realm = k.realm AND n.tenant = k.tenant AND n.keyset = k.keyset
      AND n.purpose = k.purpose AND n.subject = k.subject AND n.version > k.version
      AND n.state <> 'destroyed')
  FROM vaultdb.data_key AS k
  WHERE k.key_id = substr({value}, 3, 16) AND k.realm = {realm} AND k.keyset = {keyset}
) IS NOT TRUE
