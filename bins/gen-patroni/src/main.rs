//! `gen-patroni`: writes patroni/patroni.yml, patroni.env, pooler.sql and roles.sql from .env.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgstack_cli::generate(
        "gen-patroni",
        "Writes patroni/patroni.yml, patroni.env, pooler.sql and roles.sql from .env",
        |context| Ok(pgstack_patroni::render(&context.env)?),
    )
}
