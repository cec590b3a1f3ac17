-- Made by gen-patroni from .env: edit .env, then run gen-patroni (or deploy) again.
--
-- The passwords of `postgres`, the superuser, and of `replicator`, which the replicas stream with:
-- both get what .env says, as SCRAM verifiers. Open connections stay, also those of the replicas.
-- Both roles belong to this stack: they log in, and their passwords do not expire.
--
-- deploy runs this on the primary, once all nodes have the same .env; or you, in database postgres:
--   docker exec patroni psql -XqAt -v ON_ERROR_STOP=1 -f /config/roles.sql
-- Where all is as it should be it only reads. It prints one word:
--   current    nothing to do
--   repaired   something differed and is mended
--   outdated   something differs and was left so: PGOPTIONS held `-c pgstack.check_only=on`
--   standby    something differs, and only the primary can mend it: run it there

-- A verifier belongs into no log and no statistics.
SET log_statement = none;
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
SET pg_stat_statements.track_utility = off;
SET pgaudit.log = none;
SET client_min_messages = error;
SET search_path = pg_catalog;

DO $roles$
DECLARE
    -- POSTGRES_SUPERUSER_PASSWORD and POSTGRES_REPLICATION_PASSWORD of .env
    superuser_verifier CONSTANT text := {{ superuser }};
    replication_verifier CONSTANT text := {{ replication }};
    is_right boolean;
BEGIN
    -- 1. Is all as it should be?
    SELECT count(*) = 2 INTO is_right
    FROM pg_authid
    WHERE (rolname, rolpassword) IN (('postgres', superuser_verifier), ('replicator', replication_verifier))
      AND rolcanlogin
      AND (rolsuper OR rolreplication AND rolname = 'replicator')
      AND coalesce(rolvaliduntil, 'infinity') = 'infinity';
    IF is_right THEN
        PERFORM set_config('pgstack.roles', 'current', false);
        RETURN;
    ELSIF pg_is_in_recovery() THEN
        PERFORM set_config('pgstack.roles', 'standby', false);
        RETURN;
    ELSIF current_setting('pgstack.check_only', true) = 'on' THEN
        PERFORM set_config('pgstack.roles', 'outdated', false);
        RETURN;
    END IF;
    -- A replica that cannot log in yet must not keep this from being done.
    PERFORM set_config('synchronous_commit', 'local', true);

    -- 2. Both roles, in one transaction.
    IF NOT EXISTS (SELECT FROM pg_authid WHERE rolname = 'replicator') THEN
        CREATE ROLE replicator;
    END IF;
    EXECUTE format('ALTER ROLE postgres WITH LOGIN SUPERUSER VALID UNTIL %L PASSWORD %L',
        'infinity', superuser_verifier);
    EXECUTE format('ALTER ROLE replicator WITH LOGIN REPLICATION VALID UNTIL %L PASSWORD %L',
        'infinity', replication_verifier);
    PERFORM set_config('pgstack.roles', 'repaired', false);
END;
$roles$;

SELECT current_setting('pgstack.roles');
