SELECT name, schema_name, table_name, column_name FROM vaultdb.logical_name WHERE retired_at IS NULL
