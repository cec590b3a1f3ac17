//! The containers of a stack: a Docker engine and the Compose command behind one type.
//!
//! Lifecycle goes through the Compose command, so that a user's `docker compose up -d` and ours
//! mean the same; everything else asks the engine itself.

#[cfg(feature = "docker")]
mod compose;
#[cfg(feature = "docker")]
mod conversation;
#[cfg(feature = "docker")]
mod details;
#[cfg(feature = "docker")]
mod engine;
mod error;
#[cfg(feature = "docker")]
mod one_off;
mod service;
#[cfg(feature = "docker")]
mod survey;

#[cfg(feature = "docker")]
pub use compose::{Compose, Up};
#[cfg(feature = "docker")]
pub use conversation::Conversation;
#[cfg(feature = "docker")]
pub use details::{Details, MadeWith};
#[cfg(feature = "docker")]
pub use engine::{Engine, ExecOutput};
pub use error::ContainersError;
#[cfg(feature = "docker")]
pub use one_off::OneOff;
pub use service::{ContainerState, Service};
#[cfg(feature = "docker")]
pub use survey::Running;
