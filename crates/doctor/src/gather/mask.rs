//! No password of anybody gets into a snapshot, wherever a user put one.

use serde_json::Value;

/// Stands where a secret stood.
const MASK: &str = "***";

/// Parts of a name that say that its value is a secret.
const SECRET: [&str; 6] = ["password", "passwd", "passphrase", "secret", "token", "credential"];

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // a file with passwords, or how they are stored, is none
    if name.ends_with("passfile") || name.ends_with("pgpass") || name == "password_encryption" {
        return false;
    }
    SECRET.iter().any(|part| name.contains(part)) || name.split(['-', '_']).any(|word| word == "pass")
}

/// The same text without the user and password of URLs, and without the value of any `password=…`.
pub(super) fn text(text: &str) -> String {
    assignments(&urls(text))
}

/// `postgres://user:word@host/db?password=word` → `postgres://***@host/db?***`.
fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out += before;
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        // a password may hold any sign, so the last @ before the path's end counts
        let url = match url.rsplit_once('@') {
            Some((_, host)) => format!("{MASK}@{host}"),
            None => url.to_owned(),
        };
        out += &url;
        rest = tail;
    }
    out + rest
}

/// `password=word` and `password = 'two words'` → `password=***`.
fn assignments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (before, after) = rest.split_at(at);
        let start =
            before.trim_end().rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').map_or(0, |i| i + 1);
        out += before;
        out.push('=');
        rest = &after[1..];
        if !names_a_secret(before.get(start..).unwrap_or(before)) {
            continue;
        }
        out += MASK;
        rest = after_value(rest);
    }
    out + rest
}

/// What follows the value that a text begins with, quoted as libpq and shells do it, or not.
fn after_value(text: &str) -> &str {
    let value = text.trim_start();
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        let end = value.find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | '\'' | '"')).unwrap_or(value.len());
        return &value[end..];
    };
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            c if c == quote && !escaped => return &value[at + 1..],
            _ => escaped = false,
        }
    }
    ""
}

/// The same JSON without secrets: nothing below a name that says so, and every text masked.
pub(super) fn json(value: Value) -> Value {
    match value {
        Value::String(plain) => Value::String(text(&plain)),
        Value::Array(values) => values.into_iter().map(json).collect(),
        Value::Object(fields) => {
            let masked = fields.into_iter().map(|(name, value)| {
                // password_encryption and the like say how, not what
                let secret = names_a_secret(&name) && !name.ends_with("_encryption") && !value.is_boolean();
                let value = if secret { Value::String(MASK.to_owned()) } else { json(value) };
                (name, value)
            });
            masked.collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_password_is_left_in_a_text_and_nothing_else_is_lost() {
        for (plain, want) in [
            ("postgres://10.0.0.1:5432/postgres", "postgres://10.0.0.1:5432/postgres"),
            ("postgres://u:hunter2@10.0.0.1:5432/postgres", "postgres://***@10.0.0.1:5432/postgres"),
            ("postgres://u:hun@ter2/@10.0.0.1/x", "postgres://***@10.0.0.1/x"),
            (
                "postgres://10.0.0.1/x?sslmode=off&password=hunter2&a=b",
                "postgres://10.0.0.1/x?sslmode=off&password=***&a=b",
            ),
            ("host=a password=hunter2 user=b", "host=a password=*** user=b"),
            ("host=a password = 'hunter2 \\' hunter2' user=b", "host=a password =*** user=b"),
            ("PGPASSWORD=\"hunter2 hunter2\" pg_basebackup", "PGPASSWORD=*** pg_basebackup"),
            ("passfile=/x max_connections = 100", "passfile=/x max_connections = 100"),
            ("curl -u a https://x:hunter2@y/%f 'http://z:hunter2@y'", "curl -u a https://***@y/%f 'http://***@y'"),
            ("100 -> 200", "100 -> 200"),
            ("password=", "password=***"),
            ("pgbackrest --repo1-cipher-pass=hunter2 push %p", "pgbackrest --repo1-cipher-pass=*** push %p"),
            ("aws s3://u:hun,ter2@host/x", "aws s3://***@host/x"),
        ] {
            assert_eq!(text(plain), want, "{plain}");
        }
    }

    #[test]
    fn no_password_is_left_in_json() {
        let plain = json!({
            "ttl": 30,
            "postgresql": {
                "authentication": {"superuser": {"username": "a", "password": "hunter2"}},
                "parameters": {"password_encryption": "scram-sha-256", "primary_conninfo": "host=a password=hunter2"},
                "pg_hba": ["local all all peer"],
            },
            "secrets": {"any": ["hunter2"]},
        });
        let masked = json(plain);
        assert!(!masked.to_string().contains("hunter2"), "{masked}");
        assert_eq!(masked["ttl"], 30);
        assert_eq!(masked["postgresql"]["parameters"]["password_encryption"], "scram-sha-256");
        assert_eq!(masked["postgresql"]["parameters"]["primary_conninfo"], "host=a password=***");
        assert_eq!(masked["postgresql"]["authentication"]["superuser"]["username"], "a");
        assert_eq!(masked["postgresql"]["pg_hba"][0], "local all all peer");
    }
}
