//! The faults on the lab's command line.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use pgstack_diagnostics::Console;
use pgstack_lab::{Cut, Lab, LabError, Process, Traffic, Way};

/// What can be done to a machine.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Fault {
    /// Pull the plug of machine N; with a process, kill that alone (what runs it starts it again)
    Kill {
        #[command(flatten)]
        at: At,
        /// What to kill on it
        #[arg(value_parser = process())]
        process: Option<Process>,
    },
    /// Switch machine N on again; with a process, start its service again
    Start {
        #[command(flatten)]
        at: At,
        /// Whose service to start on it
        #[arg(value_parser = process())]
        process: Option<Process>,
    },
    /// Stop a service on machine N in order, for as long as it is not started
    Stop {
        #[command(flatten)]
        at: At,
        /// Whose service to stop on it
        #[arg(value_parser = process())]
        process: Process,
    },
    /// Let machine N, or one process on it, stand still: it does nothing, its connections stand
    Freeze {
        #[command(flatten)]
        at: At,
        /// What to freeze on it
        #[arg(value_parser = process())]
        process: Option<Process>,
    },
    /// Let what was frozen go on
    Thaw {
        #[command(flatten)]
        at: At,
        /// What to thaw on it
        #[arg(value_parser = process())]
        process: Option<Process>,
    },
    /// Cut machine N off from the other machines; this host still reaches it
    Partition {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        what: What,
    },
    /// Drop PERCENT of the packets between machine N and the others, at random, each way
    Loss {
        #[command(flatten)]
        at: At,
        /// How many of a hundred
        #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
        #[command(flatten)]
        what: What,
    },
    /// Fill the disk that PostgreSQL writes to on machine N (its data first moves to a small disk)
    FillDisk {
        #[command(flatten)]
        at: At,
    },
    /// Set the clock of Patroni and PostgreSQL on machine N off by so many seconds
    Clock {
        #[command(flatten)]
        at: At,
        /// 3600 or -3600
        #[arg(allow_negative_numbers = true)]
        seconds: i64,
    },
    /// End every fault; what was killed for good (a machine) is switched on with `start`
    Heal,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct At {
    /// The machine
    #[arg(value_parser = clap::value_parser!(u8).range(1..=6))]
    node: u8,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct What {
    /// Which direction, seen from the machine
    #[arg(long, value_enum, default_value_t = Direction::Both)]
    way: Direction,
    /// Only these connections
    #[arg(long, value_enum, default_value_t = From::All)]
    from: From,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Direction {
    /// Nothing goes in or out
    Both,
    /// It speaks and does not hear
    In,
    /// It hears and does not speak
    Out,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum From {
    /// All connections
    All,
    /// Those to and from etcd
    Etcd,
    /// Those between PostgreSQL and its replicas
    Replicas,
}

/// Reads a process by its name.
fn process() -> impl TypedValueParser<Value = Process> {
    PossibleValuesParser::new(Process::ALL.map(Process::name)).try_map(|name| {
        let mut all = Process::ALL.into_iter();
        all.find(|process| process.name() == name).ok_or("no such process")
    })
}

impl What {
    fn cut(self, percent: Option<u8>) -> Cut {
        let way = match self.way {
            Direction::Both => Way::Both,
            Direction::In => Way::In,
            Direction::Out => Way::Out,
        };
        let traffic = match self.from {
            From::All => Traffic::All,
            From::Etcd => Traffic::Etcd,
            From::Replicas => Traffic::Replication,
        };
        Cut { way, traffic, percent }
    }
}

/// Does it.
pub(crate) async fn work(lab: &Lab, fault: Fault, console: &dyn Console) -> Result<(), LabError> {
    match fault {
        Fault::Kill { at, process } => {
            let machine = lab.machine(at.node).await?;
            match process {
                Some(process) => machine.kill(process).await,
                None => machine.power_off().await,
            }
        }
        Fault::Start { at, process } => {
            let machine = lab.machine(at.node).await?;
            match process {
                Some(process) => machine.start(process.service()).await,
                None => machine.power_on().await,
            }
        }
        Fault::Stop { at, process } => lab.machine(at.node).await?.stop(process.service()).await,
        Fault::Freeze { at, process } => {
            let machine = lab.machine(at.node).await?;
            match process {
                Some(process) => machine.freeze_process(process).await,
                None => machine.freeze().await,
            }
        }
        Fault::Thaw { at, process } => {
            let machine = lab.machine(at.node).await?;
            match process {
                Some(process) => machine.thaw_process(process).await,
                None => machine.thaw().await,
            }
        }
        Fault::Partition { at, what } => lab.cut(at.node, what.cut(None)).await,
        Fault::Loss { at, percent, what } => lab.cut(at.node, what.cut(Some(percent))).await,
        Fault::FillDisk { at } => {
            let machine = lab.machine(at.node).await?;
            console.note("PostgreSQL restarts on a small disk, unless it is on one already");
            machine.small_disk().await?;
            machine.fill_disk().await
        }
        Fault::Clock { at, seconds } => {
            let machine = lab.machine(at.node).await?;
            console.note("PostgreSQL restarts with a clock of its own, unless it has one already");
            machine.own_clock().await?;
            machine.clock(seconds).await
        }
        Fault::Heal => lab.heal().await,
    }
}
