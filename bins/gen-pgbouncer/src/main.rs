//! `gen-pgbouncer`: writes pgbouncer/pgbouncer.ini and userlist.txt from .env.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgstack_cli::generate("gen-pgbouncer", "Writes pgbouncer/pgbouncer.ini and userlist.txt from .env", |context| {
        Ok(pgstack_pgbouncer::render(&context.env)?)
    })
}
