//! L: no secret in logs, `docker inspect`, or process arguments.

use pgstack_lab::{Machine, STACK};

/// Everything that somebody without the files may come to see.
const SIGHT: &str = "for c in $(docker ps -aq); do docker logs $c 2>&1; docker inspect $c; done; ps -eo args; \
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; cat /var/log/dockerd.log";

/// The names of the secrets that are in sight on a machine.
///
/// # Panics
/// When the machine does not answer.
pub async fn in_sight(machine: &Machine) -> Vec<String> {
    let derived = "cd /opt/patroni-stack; sed -n 's/.*stats auth \"admin:\\(.*\\)\"/STATISTICS=\\1/p' haproxy/haproxy.cfg; \
        sed -n 's/^    password: *\\(.*\\)/REST=\\1/p' patroni/patroni.yml";
    let env = machine.sh(&format!("grep -E 'PASS' {STACK}/.env; {derived}")).await.expect("secrets");
    assert!(["STATISTICS=", "REST="].iter().all(|key| env.contains(key)), "the generated files hold their passwords");
    let sight = machine.sh(SIGHT).await.expect("what is in sight");
    names(&env, &sight)
}

/// Which of the values of `KEY=value` lines are in a text.
fn names(secrets: &str, sight: &str) -> Vec<String> {
    let known = secrets.lines().filter_map(|line| line.split_once('='));
    let shown = known.filter(|(_, value)| core(value).is_some_and(|core| sight.contains(core)));
    shown.map(|(key, _)| key.to_owned()).collect()
}

/// The longest part of a value that no format escapes.
fn core(value: &str) -> Option<&str> {
    let parts = value.split(['"', '\'', '\\', '$']);
    parts.max_by_key(|part| part.len()).filter(|part| part.len() >= 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_sight_is_named_however_it_is_quoted() {
        let secrets = "A=\"p'a\\\"s\\\\s\\$w{o}r#d !%@:\"\nB=\"abcdefgh\"\nC=\"x\"";
        assert_eq!(names(secrets, r#"{"Env": ["A=p'a\"s\\s$w{o}r#d !%@:"]}"#), ["A"]);
        assert_eq!(names(secrets, "psql postgres://u:abcdefgh@host"), ["B"]);
        assert!(names(secrets, "nothing").is_empty());
    }
}
