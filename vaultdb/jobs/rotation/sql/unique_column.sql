-- Whether a column alone is unique, by an index that is complete.
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = pg_catalog.to_regclass(:table) AND a.attname = :column
    AND i.indisunique AND i.indisvalid AND i.indisready AND i.indpred IS NULL
)
