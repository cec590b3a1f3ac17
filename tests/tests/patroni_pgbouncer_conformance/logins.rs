//! Log-ins through a real PgBouncer to a real PostgreSQL.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pgstack_config::escape::UserlistString;
use pgstack_config::scram;
use pgstack_testing::{example_node, strategy};
use pgstack_topology::Secret;

use crate::pooler::{Pooler, images, refusal};
use crate::{HOSTILE, passwords, sample, with_passwords};

#[tokio::test]
async fn every_password_in_a_userlist_logs_in_through_pgbouncer_to_a_role_with_our_verifier() {
    if !images() {
        return;
    }
    let pooler = Pooler::start("userlist", &example_node(1, 3));
    let all = passwords();
    let (mut userlist, mut roles) = (String::new(), String::new());
    for (n, password) in all.iter().enumerate() {
        let verifier = scram::verifier(&Secret::new(password.clone()), &format!("role {n}"));
        writeln!(roles, "CREATE ROLE u{n} LOGIN PASSWORD '{verifier}';").unwrap();
        writeln!(userlist, "\"u{n}\" {}", UserlistString(password)).unwrap();
    }
    pooler.sql(&roles);
    pooler.replace_userlist(&userlist);
    for (n, password) in all.iter().enumerate() {
        let client = pooler.login(&format!("u{n}"), password, "postgres").await;
        let client = client.unwrap_or_else(|error| panic!("{password:?}: {error:?}"));
        let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("u{n}"));
    }
    let wrong = pooler.login("u0", "not it", "postgres").await;
    assert_eq!(refusal(wrong), "SASL authentication failed");
}

#[tokio::test]
async fn the_superuser_and_new_roles_log_in_through_6432_whatever_the_passwords_hold() {
    if !images() {
        return;
    }
    let pooler = Pooler::start("hostile", &with_passwords([HOSTILE, "x", HOSTILE, "x"]));
    let mut hostile = sample(strategy::password(), 8);
    hostile.push(HOSTILE.to_owned());
    for (n, pair) in hostile.windows(2).enumerate() {
        let (superuser, own) = (pair[0].as_str(), pair[1].as_str());
        pooler.change(&with_passwords([superuser, "x", own, "x"]));
        let client =
            pooler.login("postgres", superuser, "postgres").await.unwrap_or_else(|e| panic!("{superuser:?}: {e:?}"));
        // as an application's migration would: the password goes to the server in plain text
        let literal = own.replace('\'', "''");
        client.batch_execute(&format!("CREATE ROLE app{n} LOGIN PASSWORD '{literal}'")).await.unwrap();
        let app = pooler.login(&format!("app{n}"), own, "postgres").await.unwrap_or_else(|e| panic!("{own:?}: {e:?}"));
        let row = app.query_one("SELECT session_user::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("app{n}"));
    }
}

#[tokio::test]
async fn any_role_logs_in_through_6432_unless_it_may_not_and_nobody_reads_the_superuser_s_verifier() {
    if !images() {
        return;
    }
    let env = example_node(1, 3);
    let pooler = Pooler::start("roles", &env);
    pooler.sql(
        "CREATE DATABASE shop;
         CREATE ROLE app LOGIN PASSWORD 'first';
         CREATE ROLE late LOGIN PASSWORD 'x' VALID UNTIL '2020-01-01';
         CREATE ROLE soon LOGIN PASSWORD 'x' VALID UNTIL '2999-01-01';
         CREATE ROLE nobody NOLOGIN PASSWORD 'x';
         CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'x';
         ALTER ROLE replicator PASSWORD 'x';",
    );
    for (user, password, database) in [
        ("app", "first", "shop"),
        ("app", "first", "postgres"),
        ("soon", "x", "shop"),
        ("postgres", "super-secret-1", "shop"),
    ] {
        let client = pooler.login(user, password, database).await.unwrap_or_else(|e| panic!("{user}: {e:?}"));
        let row = client.query_one("SELECT current_database()::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), database);
    }
    for (user, password) in
        [("app", "second"), ("late", "x"), ("nobody", "x"), ("boss", "x"), ("replicator", "x"), ("unheard_of", "x")]
    {
        let refused = refusal(pooler.login(user, password, "shop").await);
        assert!(["SASL authentication failed", "no such user"].contains(&refused.as_str()), "{user}: {refused}");
    }
    pooler.sql("ALTER ROLE app PASSWORD 'second'");
    pooler.login("app", "second", "shop").await.unwrap();

    // the pooler's own role: one function, in one database, and not for superusers
    let own = env.pooler_password.expose();
    let me = pooler.login_direct("pgbouncer", own, "postgres").await.unwrap();
    for (role, rows) in
        [("app", 1), ("soon", 1), ("late", 0), ("nobody", 0), ("boss", 0), ("postgres", 0), ("replicator", 0)]
    {
        let found = me.query("SELECT name, verifier FROM pgbouncer.lookup($1)", &[&role]).await.unwrap();
        assert_eq!(found.len(), rows, "{role}");
    }
    for sql in ["SELECT rolpassword FROM pg_authid", "SELECT passwd FROM pg_shadow", "CREATE TABLE pgbouncer.t (i int)"]
    {
        assert_eq!(refusal(me.batch_execute(sql).await), "permission denied", "{sql}");
    }
    assert!(refusal(pooler.login_direct("pgbouncer", own, "shop").await).contains("pg_hba.conf rejects"));
    let app = pooler.login_direct("app", "second", "postgres").await.unwrap();
    for sql in ["SELECT * FROM pgbouncer.lookup('postgres')", "SET ROLE pgbouncer", "SELECT rolpassword FROM pg_authid"]
    {
        assert_eq!(refusal(app.batch_execute(sql).await), "permission denied", "{sql}");
    }

    // the console is the superuser's
    let console = pooler.login("postgres", "super-secret-1", "pgbouncer").await.unwrap();
    assert!(console.simple_query("SHOW POOLS").await.is_ok());
    assert!(pooler.login("app", "second", "pgbouncer").await.is_err());
}

#[tokio::test]
async fn prepared_statements_live_on_in_transaction_mode_on_any_connection() {
    if !images() {
        return;
    }
    let pooler = Pooler::start("prepared", &example_node(1, 3));
    let [mut one, mut two] = [
        pooler.login("postgres", "super-secret-1", "postgres").await.unwrap(),
        pooler.login("postgres", "super-secret-1", "postgres").await.unwrap(),
    ];
    let (of_one, of_two) = ("SELECT pg_backend_pid(), $1::int", "SELECT pg_backend_pid(), $1::int + 1");
    let (of_one, of_two) = (one.prepare(of_one).await.unwrap(), two.prepare(of_two).await.unwrap());
    let mut backends = BTreeSet::new();
    for n in 0..4 {
        // whoever is first takes the connection that was given back last, so the two swap
        let (first, of_first, second, of_second) =
            if n % 2 == 0 { (&mut one, &of_one, &mut two, &of_two) } else { (&mut two, &of_two, &mut one, &of_one) };
        let transaction = first.transaction().await.unwrap();
        backends.insert((n % 2, transaction.query_one(of_first, &[&n]).await.unwrap().get::<_, i32>(0)));
        let row = second.query_one(of_second, &[&n]).await.unwrap();
        backends.insert(((n + 1) % 2, row.get::<_, i32>(0)));
        transaction.commit().await.unwrap();
    }
    assert!(backends.len() > 2, "no client ever changed its connection: {backends:?}");
}
