//! `gen-keepalived`: writes keepalived/keepalived.conf and check_haproxy.sh from .env.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgstack_cli::generate(
        "gen-keepalived",
        "Writes keepalived/keepalived.conf and check_haproxy.sh from .env",
        |context| Ok(pgstack_keepalived::render(&context.env)?),
    )
}
