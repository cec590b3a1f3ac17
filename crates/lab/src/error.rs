//! What can go wrong in the lab.

use std::io;
use std::path::PathBuf;

use pgstack_containers::ContainersError;
use pgstack_diagnostics::Hint;

/// What can go wrong in the lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The engine on this machine, or one inside a virtual machine.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// The engine refused.
    #[error("the Docker engine could not {what}")]
    Engine {
        /// What was asked of it.
        what: String,
        /// Its answer.
        source: bollard::errors::Error,
    },
    /// Not a name for a lab.
    #[error("`{name}` is no name for a lab: 1 to 20 small letters, digits or -, a letter first")]
    Name {
        /// The name.
        name: String,
    },
    /// The lab has no machine of that number.
    #[error("the lab `{lab}` has no machine {id}")]
    NoMachine {
        /// The lab.
        lab: String,
        /// The number.
        id: u8,
    },
    /// The lab is not there.
    #[error("the lab `{lab}` is not up")]
    NotUp {
        /// The lab.
        lab: String,
    },
    /// The lab is there with another size.
    #[error("the lab `{lab}` has {have} machines, not {want}")]
    OtherSize {
        /// The lab.
        lab: String,
        /// How many there are.
        have: usize,
        /// How many were asked for.
        want: u8,
    },
    /// No free private network was found.
    #[error("no free network from 10.213.0.0/24 to 10.213.255.0/24")]
    NoSubnet,
    /// An image is missing.
    #[error("image {image} is missing")]
    NoImage {
        /// The image.
        image: String,
    },
    /// The images could not be built.
    #[error("{} failed: {detail}", script.display())]
    Images {
        /// What was run.
        script: PathBuf,
        /// Its last words.
        detail: String,
    },
    /// A binary is missing.
    #[error("{} is missing", path.display())]
    NoBinary {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A command on a machine failed.
    #[error("machine {id}: `{command}` ended with exit code {code}: {detail}")]
    Command {
        /// The machine.
        id: u8,
        /// What was run.
        command: String,
        /// How it ended.
        code: i64,
        /// Its last words.
        detail: String,
    },
    /// A machine's engine did not start.
    #[error("machine {id}: its Docker engine did not start within {seconds} s")]
    NoInnerEngine {
        /// The machine.
        id: u8,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The cluster did not answer as it should.
    #[error("{endpoint}: {detail}")]
    Client {
        /// Who was asked: `10.213.0.100:5000`.
        endpoint: String,
        /// What happened.
        detail: String,
    },
}

impl LabError {
    pub(crate) fn engine(what: &str) -> impl FnOnce(bollard::errors::Error) -> Self {
        let what = what.to_owned();
        move |source| Self::Engine { what, source }
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl Hint for LabError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Containers(error) => error.hints(),
            Self::NotUp { .. } | Self::NoMachine { .. } => {
                vec!["`lab status` shows what there is, `lab up` makes one".to_owned()]
            }
            Self::OtherSize { .. } => vec!["remove it first: `lab down`".to_owned()],
            Self::NoImage { .. } => vec!["build the images: images/build.sh".to_owned()],
            Self::NoBinary { .. } => vec!["build the binaries: cargo build --bins".to_owned()],
            Self::NoInnerEngine { id, .. } => {
                vec![format!("`docker logs` of machine {id} and /var/log/dockerd.log inside tell why")]
            }
            _ => Vec::new(),
        }
    }
}
