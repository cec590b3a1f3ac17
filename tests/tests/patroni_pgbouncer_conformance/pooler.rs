//! A real PostgreSQL and a real PgBouncer in front of it, with the generated files.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pgstack_env::NodeEnv;
use pgstack_patroni::roles::{MEND, RolesState};
use pgstack_patroni::{PATRONI_YML, POOLER_SQL, ROLES_SQL};
use pgstack_pgbouncer::{PGBOUNCER_INI, USERLIST_TXT};
use pgstack_testing::example_node;
use pgstack_tests::docker_or_skip;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

/// Runs a program, with `input` on its standard input.
pub(crate) fn run(program: &[&str], input: &str) -> Output {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    // on its own: a program that answers before it has read all must not wait for us
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    drop(writer.join());
    output
}

/// The standard output of a program that must succeed.
pub(crate) fn must(program: &[&str], input: &str) -> String {
    let output = run(program, input);
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether both images are there.
pub(crate) fn images() -> bool {
    let images = example_node(1, 3).images;
    docker_or_skip(images.patroni.as_ref()) && docker_or_skip(images.pgbouncer.as_ref())
}

/// Names of containers that are removed in the end, whatever happened.
struct Containers([String; 2]);

impl Drop for Containers {
    fn drop(&mut self) {
        run(&["docker", "rm", "-f", "-v", &self.0[0], &self.0[1]], "");
    }
}

/// Both servers.
pub(crate) struct Pooler {
    containers: Containers,
    files: tempfile::TempDir,
    postgres_port: u16,
    listens_on: u16,
}

impl Pooler {
    /// Starts both as the files of `env` say, but for the primary's address.
    pub(crate) fn start(name: &str, env: &NodeEnv) -> Self {
        let name = format!("pgstack-conformance-{name}-{}", std::process::id());
        let containers = Containers([format!("{name}-postgres"), format!("{name}-pgbouncer")]);
        let [postgres, pgbouncer] = &containers.0;
        let files = tempfile::tempdir().unwrap();
        std::fs::set_permissions(files.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mounted = |at: &str| format!("{}:{at}:ro", files.path().display());

        write_files(&files, env);
        write(&files, "password", env.superuser_password.expose());
        write(&files, "pg_hba.conf", &pg_hba(env));
        // what Patroni does at the first boot, in short
        let boot = "initdb -D $HOME/pgdata/data -U postgres --pwfile /config/password --no-sync -E UTF8 \
                        --locale C.UTF-8 --auth-host scram-sha-256 --auth-local peer >/dev/null && \
                    exec postgres -D $HOME/pgdata/data -c hba_file=/config/pg_hba.conf -c listen_addresses=0.0.0.0 \
                        -c unix_socket_directories=/var/run/postgresql -c fsync=off -c log_statement=all";
        let image = env.images.patroni.to_string();
        let docker =
            ["docker", "run", "-d", "--name", postgres, "-v", &mounted("/config"), "-e", "HOME=/home/postgres"];
        let what = ["-p", "127.0.0.1::5432", "-p", "127.0.0.1::6432", &image, "sh", "-c", boot];
        must(&[&docker[..], &what[..]].concat(), "");
        wait_for(&["docker", "exec", postgres, "pg_isready", "-q", "-h", "127.0.0.1"]);
        assert_eq!(apply_sql(postgres, &MEND), RolesState::Repaired);

        let (network, image) = (format!("container:{postgres}"), env.images.pgbouncer.to_string());
        let docker = ["docker", "run", "-d", "--name", pgbouncer, "-v", &mounted("/etc/pgbouncer")];
        must(&[&docker[..], &["--network", &network, &image]].concat(), "");
        wait_for(&["docker", "exec", pgbouncer, "test", "-S", "/tmp/.s.PGSQL.6432"]);
        let (postgres_port, listens_on) = (published(postgres, 5432), published(postgres, 6432));
        Self { containers, files, postgres_port, listens_on }
    }

    /// What `deploy` runs.
    pub(crate) fn apply_sql(&self, command: &[&str]) -> RolesState {
        apply_sql(&self.containers.0[0], command)
    }

    /// As PostgreSQL's own superuser, past all passwords. The unaligned rows.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let psql = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres"];
        must(&[&["docker", "exec", "-i", &self.containers.0[0]], &psql[..]].concat(), sql)
    }

    /// On PgBouncer's console, from inside its container, without a password.
    pub(crate) fn console(&self, command: &str) -> String {
        let psql = ["psql", "-XqAt", "-h", "/tmp", "-p", "6432", "-U", "pgbouncer", "-d", "pgbouncer"];
        must(&[&["docker", "exec", "-i", &self.containers.0[1]], &psql[..]].concat(), command)
    }

    /// Other settings, taken up as a running stack takes them up.
    pub(crate) fn change(&self, env: &NodeEnv) {
        write_files(&self.files, env);
        assert_eq!(self.apply_sql(&MEND), RolesState::Repaired);
        self.console("RELOAD; RECONNECT;");
    }

    /// Another userlist.txt.
    pub(crate) fn replace_userlist(&self, contents: &str) {
        write(&self.files, "userlist.txt", contents);
        self.console("RELOAD;");
    }

    /// Logs in through the pooler.
    pub(crate) async fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        login(self.listens_on, user, password, database).await
    }

    /// Logs in to PostgreSQL itself.
    pub(crate) async fn login_direct(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        login(self.postgres_port, user, password, database).await
    }

    /// All that both servers have logged.
    pub(crate) fn logs(&self) -> String {
        let of = |name: &String| run(&["docker", "logs", name], "");
        let text = |output: Output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        self.containers.0.iter().map(|name| text(of(name))).collect()
    }
}

/// Why the server refused.
pub(crate) fn refusal<T>(result: Result<T, tokio_postgres::Error>) -> String {
    let error = result.err().expect("a refusal");
    match error.as_db_error() {
        Some(refused) if refused.code() == &SqlState::INSUFFICIENT_PRIVILEGE => "permission denied".to_owned(),
        Some(refused) => refused.message().to_owned(),
        None => panic!("{error:?}"),
    }
}

async fn login(port: u16, user: &str, password: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname(database);
    config.connect_timeout(Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn apply_sql(postgres: &str, command: &[&str]) -> RolesState {
    must(&[&["docker", "exec", postgres], command].concat(), "").parse().unwrap()
}

/// The files of a node as both containers see them, with PostgreSQL where HAProxy would be.
fn write_files(files: &tempfile::TempDir, env: &NodeEnv) {
    let primary = format!("host={},{} port=5000", env.local.me().ip(), env.local.topology().vip().ip());
    let pgbouncer = pgstack_pgbouncer::render(env).unwrap();
    let ini = &pgbouncer.get(PGBOUNCER_INI).unwrap().contents;
    assert_eq!(ini.matches(&primary).count(), 2);
    write(files, "pgbouncer.ini", &ini.replace(&primary, "host=127.0.0.1 port=5432"));
    write(files, "userlist.txt", &pgbouncer.get(USERLIST_TXT).unwrap().contents);
    let patroni = pgstack_patroni::render(env).unwrap();
    write(files, "pooler.sql", &patroni.get(POOLER_SQL).unwrap().contents);
    write(files, "roles.sql", &patroni.get(ROLES_SQL).unwrap().contents);
}

fn write(files: &tempfile::TempDir, name: &str, contents: &str) {
    std::fs::write(files.path().join(name), contents).unwrap();
}

/// The lines that Patroni would write into pg_hba.conf.
fn pg_hba(env: &NodeEnv) -> String {
    let files = pgstack_patroni::render(env).unwrap();
    let yaml: serde_yaml::Value = serde_yaml::from_str(&files.get(PATRONI_YML).unwrap().contents).unwrap();
    let lines = yaml["postgresql"]["pg_hba"].as_sequence().unwrap();
    lines.iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
}

fn wait_for(probe: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !run(probe, "").status.success() {
        assert!(Instant::now() < deadline, "waited 30 s for {probe:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The host's port of a container's port.
fn published(container: &str, port: u16) -> u16 {
    let answer = must(&["docker", "port", container, &format!("{port}/tcp")], "");
    answer.lines().next().and_then(|line| line.rsplit(':').next()).unwrap().parse().unwrap()
}
