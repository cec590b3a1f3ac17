//! `build-etcd-initial-cluster`: prints ETCD_INITIAL_CLUSTER for the `.env` of a new node.

use std::process::ExitCode;

use pgstack_cli::{Ended, Parser as _, PrintArgs, Terminal, run};
use pgstack_diagnostics::Console as _;

fn main() -> ExitCode {
    let PrintArgs { stack } = PrintArgs::parse();
    run(|terminal: &Terminal| {
        let env = stack.locate()?.settings()?.env;
        terminal.out(&format!("ETCD_INITIAL_CLUSTER={}", env.local.topology().etcd_initial_cluster()));
        terminal
            .out("# for the new node's .env, together with ETCD_INITIAL_CLUSTER_STATE=existing; deploy needs neither");
        Ok(Ended::Done)
    })
}
