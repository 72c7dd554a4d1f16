-- The role that the program works as. Run by the schema's owner after the migrations; changes nothing where all is in place.
-- Where the owner may not create roles, an administrator does so once:
--   CREATE ROLE homeostat_runtime NOLOGIN; GRANT homeostat_runtime TO <the login>;
-- and until then the triggers alone keep history append-only.
DO $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('homeostat roles')); -- processes that start at once would change the same catalogue rows
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeostat_runtime') THEN
        BEGIN
            CREATE ROLE homeostat_runtime NOLOGIN;
        EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
            NULL; -- not allowed, or another database of this server was just faster
        END;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeostat_runtime') THEN
        RETURN;
    END IF;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        BEGIN
            GRANT homeostat_runtime TO CURRENT_USER;
        EXCEPTION WHEN insufficient_privilege OR internal_error OR unique_violation THEN
            NULL; -- an administrator has granted it, or will
        END;
    END IF;
    IF has_table_privilege('homeostat_runtime', 'homeostat.compatibility', 'SELECT') THEN
        RETURN;
    END IF;
    GRANT USAGE ON SCHEMA homeostat TO homeostat_runtime;
    GRANT SELECT, INSERT ON homeostat.version, homeostat.intent, homeostat.resource_grant, homeostat.outcome, homeostat.late_result,
        homeostat.request, homeostat.request_done, homeostat.dry_run, homeostat.dry_run_result TO homeostat_runtime;
    GRANT SELECT, INSERT, UPDATE ON homeostat.environment, homeostat.resource_state TO homeostat_runtime;
    GRANT SELECT, INSERT, UPDATE, DELETE ON homeostat.lease, homeostat.target TO homeostat_runtime;
    GRANT EXECUTE ON FUNCTION homeostat.forget_environment(bigint, bigint, bigint) TO homeostat_runtime;
    GRANT EXECUTE ON FUNCTION homeostat.trim_environment(bigint, bigint, bigint, bigint, bigint, bigint) TO homeostat_runtime;
    GRANT SELECT ON homeostat._sqlx_migrations TO homeostat_runtime;
    GRANT SELECT ON homeostat.compatibility TO homeostat_runtime; -- last: its presence says that the rest was granted
END
$$;
