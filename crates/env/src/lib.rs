//! The `.env` file: Compose's own reading rules, and the settings of one node.
//!
//! [`dotenv::parse`] reads the file as `docker compose` does; [`load`] turns it into a [`NodeEnv`]
//! and lists everything that is wrong at once. Nothing here touches the disk or the environment:
//! the caller passes both in.
//!
//! ```
//! let text = "NODE_ID=1\nNODE_IP=127.0.0.1\n";
//! let errors = pgstack_env::load(text.as_bytes(), &|_| None).unwrap_err();
//! assert!(errors.to_string().contains(".env:2: `NODE_IP` is a loopback address"));
//! ```

pub mod dcs;
pub mod dotenv;
mod durability;
mod etcd_login;
mod fresh;
pub mod key;
mod load;
mod node_env;
mod problem;
mod profile;
pub mod recovery;

pub use durability::Durability;
pub use etcd_login::EtcdLogin;
pub use fresh::fresh;
pub use load::{Loaded, MemberListError, PasswordError, load};
pub use node_env::{EtcdState, Images, NodeEnv, Vrrp, VrrpState};
pub use problem::{EnvErrors, Problem, ProblemKind};
pub use profile::{PoolerTimes, Profile, ProxyTimes, Seconds, VrrpTimes, VrrpVersion};

/// How this crate asks for a variable of the process: the caller decides where it comes from.
pub type Process<'a> = &'a dyn Fn(&str) -> Option<String>;
