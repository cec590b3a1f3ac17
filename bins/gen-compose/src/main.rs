//! `gen-compose`: writes docker-compose.yaml, and etcd's files beside it, from .env.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgstack_cli::generate("gen-compose", "Writes docker-compose.yaml and etcd's files from .env", |context| {
        Ok(pgstack_deploy::compose_files(&context.stack, &context.env)?)
    })
}
