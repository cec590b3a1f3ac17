//! What each station between a client and PostgreSQL costs: pgbench directly, through HAProxy, through
//! PgBouncer, and through several PgBouncers behind one port. `just bench-path [--help]`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod client;
mod poolers;
mod rounds;

use std::path::PathBuf;
use std::{fs, io};

use clap::Parser;
use pgstack_tests::bench::document;
use pgstack_tests::settings::Settings;

#[derive(Debug, Parser)]
#[command(about = "Measures the ways from a client to PostgreSQL with pgbench, and writes docs/performance.md")]
struct Arguments {
    /// How often each way is measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long pgbench runs each time, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Numbers of clients
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<u16>,
    /// pgbench's scale: 100,000 accounts each
    #[arg(long, default_value_t = 32)]
    scale: u32,
    /// How many PgBouncers share the port where there are several
    #[arg(long, default_value_t = 2)]
    poolers: u32,
    /// Where the table goes
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md"))]
    out: PathBuf,
    /// The name of the lab
    #[arg(long, default_value = "path")]
    lab: String,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let lab = arguments.settings.lab(&arguments.lab).await;
    let samples = rounds::measure(&lab, &arguments).await;
    arguments.settings.leave(&lab).await;
    let table = samples.markdown();
    println!("{table}");
    write(&arguments.out, &table).expect("the report is written");
}

fn write(out: &PathBuf, table: &str) -> io::Result<()> {
    let text = document::put(&fs::read_to_string(out)?, "just bench-path", table).map_err(io::Error::other)?;
    fs::write(out, text)
}
