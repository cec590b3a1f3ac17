//! The `.env` file: Compose's own reading rules, and the settings of one node.

pub mod key;
mod node_env;

pub use node_env::{EtcdState, Images, NodeEnv, Vrrp, VrrpState};
