(SELECT k.tenant = {tenant}
  FROM vaultdb.data_key AS k
  WHERE k.key_id = substr({value}, 3, 16) AND k.realm = {realm} AND k.keyset = {keyset}
) IS TRUE
