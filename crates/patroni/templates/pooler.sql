-- Made by gen-patroni from .env: edit .env, then run gen-patroni (or deploy) again.
--
-- The role `pgbouncer`, which may do nothing but call one function, and that function, which tells
-- it the stored SCRAM verifier of a role that wants to log in: never of a superuser, never of a
-- replication role. Both names belong to this stack: a role, schema or function of the same name
-- that somebody else made is taken over, and loses every right that it should not have.
--
-- Patroni runs this in database postgres when the cluster is born; later deploy does, or you:
--   docker exec patroni psql -XqAt -v ON_ERROR_STOP=1 -f /config/pooler.sql
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

DO $pooler$
DECLARE
    -- POSTGRESQL_PASSWORD of .env
    verifier CONSTANT text := {{ verifier }};
    body CONSTANT text := $body$
    SELECT rolname::pg_catalog.text, rolpassword
    FROM pg_catalog.pg_authid
    WHERE rolname = login
      AND rolcanlogin
      AND NOT rolsuper
      AND NOT rolreplication
      AND (rolvaliduntil IS NULL OR rolvaliduntil > pg_catalog.now())
$body$;
    found_grant record;
BEGIN
    -- 1. Is all as it should be?
    IF EXISTS (
        SELECT
        FROM pg_authid AS r
        JOIN pg_namespace AS n ON n.nspname = 'pgbouncer'
        JOIN pg_proc AS p ON p.oid = to_regprocedure('pgbouncer.lookup(text)')
        JOIN pg_authid AS owner ON owner.rolname = 'postgres'
        WHERE r.rolname = 'pgbouncer'
          AND r.rolpassword = verifier
          AND r.rolcanlogin
          AND coalesce(r.rolvaliduntil, 'infinity') = 'infinity'
          AND r.rolconnlimit = -1
          AND NOT (r.rolsuper OR r.rolinherit OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls)
          AND NOT EXISTS (SELECT FROM pg_auth_members AS m WHERE r.oid IN (m.roleid, m.member))
          AND has_database_privilege(r.oid, current_database(), 'CONNECT')
          AND n.nspowner = owner.oid
          AND has_schema_privilege(r.oid, n.oid, 'USAGE')
          AND NOT EXISTS (
              SELECT FROM aclexplode(n.nspacl) AS a
              WHERE a.grantee <> owner.oid
                AND (a.grantee <> r.oid OR a.privilege_type <> 'USAGE' OR a.is_grantable))
          AND p.proowner = owner.oid
          AND p.prosrc = body
          AND p.prosecdef
          AND p.provolatile = 's'
          AND p.proisstrict
          AND p.prolang = (SELECT l.oid FROM pg_language AS l WHERE l.lanname = 'sql')
          AND p.proconfig = ARRAY['search_path=pg_catalog, pg_temp']
          AND pg_get_function_result(p.oid) = 'TABLE(name text, verifier text)'
          AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
          AND p.proacl IS NOT NULL
          AND NOT EXISTS (
              SELECT FROM aclexplode(p.proacl) AS a
              WHERE a.grantee <> owner.oid AND (a.grantee <> r.oid OR a.is_grantable))
    ) THEN
        PERFORM set_config('pgstack.pooler', 'current', false);
        RETURN;
    ELSIF pg_is_in_recovery() THEN
        PERFORM set_config('pgstack.pooler', 'standby', false);
        RETURN;
    ELSIF current_setting('pgstack.check_only', true) = 'on' THEN
        PERFORM set_config('pgstack.pooler', 'outdated', false);
        RETURN;
    END IF;
    -- A cluster that waits for a synchronous standby must not keep the pooler out.
    PERFORM set_config('synchronous_commit', 'local', true);

    -- 2. The role: logs in, and is nobody's member and nobody's group.
    IF NOT EXISTS (SELECT FROM pg_authid WHERE rolname = 'pgbouncer') THEN
        CREATE ROLE pgbouncer;
    END IF;
    EXECUTE format(
        'ALTER ROLE pgbouncer WITH LOGIN NOSUPERUSER NOINHERIT NOCREATEROLE NOCREATEDB NOREPLICATION'
        ' NOBYPASSRLS CONNECTION LIMIT -1 VALID UNTIL %L PASSWORD %L', 'infinity', verifier);
    FOR found_grant IN
        SELECT roleid::regrole AS granted, member::regrole AS member, grantor::regrole AS grantor
        FROM pg_auth_members
        WHERE 'pgbouncer'::regrole IN (roleid, member)
    LOOP
        EXECUTE format('REVOKE %s FROM %s GRANTED BY %s CASCADE',
            found_grant.granted, found_grant.member, found_grant.grantor);
    END LOOP;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgbouncer', current_database());

    -- 3. The schema.
    CREATE SCHEMA IF NOT EXISTS pgbouncer AUTHORIZATION postgres;
    ALTER SCHEMA pgbouncer OWNER TO postgres;
    FOR found_grant IN
        SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
        FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
        WHERE n.nspname = 'pgbouncer' AND a.grantee <> n.nspowner
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA pgbouncer FROM %s CASCADE', found_grant.grantee);
    END LOOP;
    GRANT USAGE ON SCHEMA pgbouncer TO pgbouncer;

    -- 4. The function, in its owner's rights: only the superuser may read verifiers.
    IF pg_get_function_result(to_regprocedure('pgbouncer.lookup(text)')) <> 'TABLE(name text, verifier text)' THEN
        DROP FUNCTION pgbouncer.lookup(text);
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION pgbouncer.lookup(login text) RETURNS TABLE (name text, verifier text)'
        ' LANGUAGE sql STABLE STRICT SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS %L', body);
    ALTER FUNCTION pgbouncer.lookup(text) OWNER TO postgres;
    REVOKE ALL ON FUNCTION pgbouncer.lookup(text) FROM PUBLIC;
    FOR found_grant IN
        SELECT DISTINCT a.grantee::regrole AS grantee
        FROM pg_proc AS p, aclexplode(p.proacl) AS a
        WHERE p.oid = 'pgbouncer.lookup(text)'::regprocedure AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION pgbouncer.lookup(text) FROM %s CASCADE', found_grant.grantee);
    END LOOP;
    GRANT EXECUTE ON FUNCTION pgbouncer.lookup(text) TO pgbouncer;

    PERFORM set_config('pgstack.pooler', 'repaired', false);
END;
$pooler$;

SELECT current_setting('pgstack.pooler');
