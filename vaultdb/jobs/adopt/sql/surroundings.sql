-- What keeps copies that cannot be looked into from here.
SELECT
    pg_catalog.current_setting('archive_mode') <> 'off',
    ARRAY(SELECT pg_catalog.concat_ws(' at ', application_name, client_addr::text)
          FROM pg_catalog.pg_stat_replication ORDER BY 1),
    ARRAY(SELECT slot_name::text FROM pg_catalog.pg_replication_slots
          WHERE restart_lsn IS NOT NULL ORDER BY 1),
    pg_catalog.current_setting('logging_collector') = 'on'
