//! `gen-haproxy`: writes haproxy/haproxy.cfg from .env.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgstack_cli::generate("gen-haproxy", "Writes haproxy/haproxy.cfg from .env", |context| {
        Ok(pgstack_haproxy::render(&context.env)?)
    })
}
