//! The stack's own roles, and the pooler's schema and function, after somebody was at them.

use pgstack_patroni::roles::{LOOK, MEND, RolesState};
use pgstack_testing::example_node;

use crate::pooler::{Pooler, images};

/// What somebody may have done to the role, the schema or the function.
const DAMAGE: &[&str] = &[
    "ALTER ROLE pgbouncer PASSWORD 'other'",
    "ALTER ROLE pgbouncer PASSWORD NULL",
    "ALTER ROLE pgbouncer NOLOGIN",
    "ALTER ROLE pgbouncer SUPERUSER",
    "ALTER ROLE pgbouncer CREATEROLE INHERIT CONNECTION LIMIT 3 VALID UNTIL '2020-01-01'",
    "GRANT pg_read_all_data TO pgbouncer",
    "GRANT pgbouncer TO mallory WITH ADMIN OPTION",
    "DROP FUNCTION pgbouncer.lookup",
    "DROP SCHEMA pgbouncer CASCADE",
    "DROP SCHEMA pgbouncer CASCADE; DROP OWNED BY pgbouncer; DROP ROLE pgbouncer",
    "DROP SCHEMA pgbouncer CASCADE; DROP OWNED BY pgbouncer; DROP ROLE pgbouncer;
     SET ROLE mallory; CREATE ROLE pgbouncer LOGIN PASSWORD 'mine'; GRANT pgbouncer TO mallory; RESET ROLE;
     CREATE SCHEMA pgbouncer AUTHORIZATION mallory; GRANT ALL ON SCHEMA pgbouncer TO PUBLIC",
    "ALTER SCHEMA pgbouncer OWNER TO mallory",
    "GRANT CREATE ON SCHEMA pgbouncer TO mallory WITH GRANT OPTION",
    "REVOKE USAGE ON SCHEMA pgbouncer FROM pgbouncer",
    "ALTER FUNCTION pgbouncer.lookup OWNER TO mallory",
    "GRANT EXECUTE ON FUNCTION pgbouncer.lookup TO PUBLIC",
    "GRANT EXECUTE ON FUNCTION pgbouncer.lookup TO mallory WITH GRANT OPTION",
    "ALTER FUNCTION pgbouncer.lookup(text) RESET ALL",
    "ALTER FUNCTION pgbouncer.lookup(text) SECURITY INVOKER",
    "CREATE OR REPLACE FUNCTION pgbouncer.lookup(login text) RETURNS TABLE (name text, verifier text)
     LANGUAGE sql AS 'SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = login'",
    "DROP FUNCTION pgbouncer.lookup; CREATE FUNCTION pgbouncer.lookup(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC, pgbouncer",
    "ALTER ROLE postgres PASSWORD 'other'",
    "ALTER ROLE postgres VALID UNTIL '2020-01-01'",
    "ALTER ROLE replicator PASSWORD NULL",
    "ALTER ROLE replicator NOLOGIN NOREPLICATION",
    "DROP ROLE replicator",
];

#[tokio::test]
async fn the_sql_repairs_whatever_was_done_and_changes_nothing_where_all_is_right() {
    if !images() {
        return;
    }
    let env = example_node(1, 3);
    let pooler = Pooler::start("repair", &env);
    let own = env.pooler_password.expose();
    // mallory may create roles, as an application's administrator may; "Odd ""name" needs quoting
    pooler.sql("CREATE ROLE mallory LOGIN CREATEROLE; CREATE ROLE \"Odd \"\"name\"; GRANT mallory TO \"Odd \"\"name\"");
    let row = "SELECT xmin, ctid FROM pg_authid WHERE rolname IN ('pgbouncer', 'postgres', 'replicator')
               UNION ALL SELECT xmin, ctid FROM pg_proc WHERE proname = 'lookup'";
    for damage in DAMAGE {
        pooler.sql(damage);
        assert_eq!(pooler.apply_sql(&LOOK), RolesState::Outdated, "{damage}");
        assert_eq!(pooler.apply_sql(&MEND), RolesState::Repaired, "{damage}");
        assert_eq!(pooler.apply_sql(&LOOK), RolesState::Current, "{damage}");
    }
    let repaired = pooler.sql(row);
    assert_eq!(pooler.apply_sql(&MEND), RolesState::Current);
    assert_eq!(pooler.sql(row), repaired);
    let rights = "SELECT rolname FROM pg_roles WHERE NOT rolsuper AND has_schema_privilege(oid, 'pgbouncer', 'USAGE')
                  AND has_function_privilege(oid, 'pgbouncer.lookup(text)', 'EXECUTE')";
    assert_eq!(pooler.sql(rights), "pgbouncer\n");
    pooler.login_direct("pgbouncer", own, "postgres").await.unwrap();
    pooler.login_direct("postgres", env.superuser_password.expose(), "postgres").await.unwrap();
    pooler.sql("CREATE ROLE app LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE postgres TO app");
    pooler.login("app", "x", "postgres").await.unwrap();
    // PostgreSQL logs all statements here, but not these
    let logs = pooler.logs();
    assert!(logs.contains("CREATE ROLE app") && !logs.contains("SCRAM-SHA-256$"), "a verifier is in a log");
}
