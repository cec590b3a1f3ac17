//! What can be wrong with a `.env`, in words.

use pgstack_config::escape::KeepalivedWordError;
use pgstack_topology::{AddressError, NameError, NodeIdError, TopologyError};

use super::Shown;
use crate::load::{MemberListError, PasswordError};

/// What is wrong. The text goes on behind the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Bytes that are no text.
    #[error(" this line holds bytes that are not UTF-8")]
    NotUtf8,
    /// A NUL, which no variable can hold.
    #[error(" holds a NUL")]
    Nul,
    /// Something else than a key.
    #[error(" this is not `KEY=value`: a key is made of letters, digits, `_`, `.` and `-`")]
    KeyCharacter,
    /// A blank within a key.
    #[error(" this is not `KEY=value`: there is a blank inside the key")]
    KeyBlank,
    /// `=value`.
    #[error(" a value without a key")]
    NoKey,
    /// A bare word on a last line without a line end.
    #[error(" the last line is not `KEY=value` and has no line end")]
    EndOfFileInKey,
    /// `export` and nothing else.
    #[error(" `export` without a key")]
    ExportAlone,
    /// A quote that is never closed.
    #[error(" has a quote that is never closed")]
    Unterminated,
    /// `${` that is no expression.
    #[error(" holds a `${{` that is not `${{NAME}}`, `${{NAME:-default}}` or the like")]
    Template,
    /// `${NAME:?message}` without NAME.
    #[error(" needs `{name}`, which is not set{}{}", if message.is_empty() { "" } else { ": " }, Shown(message))]
    RequiredVariable {
        /// The variable.
        name: String,
        /// What the file says about it.
        message: String,
    },
    /// Nested too deep.
    #[error(" nests `${{…}}` more than {} deep", crate::dotenv::MAX_DEPTH)]
    TooDeep,
    /// File or values too large.
    #[error(" the file or its values are larger than 1 MiB")]
    TooLarge,
    /// A bare `KEY` that the process does not have. A warning.
    #[error(" has no `=value`, and the environment does not have it either")]
    NotInherited,
    /// `$NAME` without NAME: it becomes nothing. A warning.
    #[error(" uses `${name}`, which is not set and becomes nothing")]
    UnsetVariable {
        /// The variable.
        name: String,
    },

    /// A key that must be there.
    #[error(" is missing{}", meant.as_ref().map(|(line, name)| format!("; line {line} sets `{}`", Shown(name))).unwrap_or_default())]
    Missing {
        /// A line with a key that looks like it.
        meant: Option<(usize, String)>,
    },
    /// A key that must not be empty.
    #[error(" is empty")]
    Empty,
    /// Not an address of a node or VIP, or not a prefix length.
    #[error("{} {error}, got `{got}`", match error { AddressError::Ipv6 => ":", AddressError::Prefix => "", _ => " is" })]
    Address {
        /// Why.
        error: AddressError,
        /// The value.
        got: String,
    },
    /// Not an interface or image name.
    #[error(" is {error}, got `{got}`")]
    Name {
        /// Why.
        error: NameError,
        /// The value.
        got: String,
    },
    /// Not a node number.
    #[error(" {NodeIdError}, got `{got}`")]
    NodeId {
        /// The value.
        got: String,
    },
    /// Not a number of that range, or not one of those words.
    #[error(" must be {expected}, got `{got}`")]
    NotOneOf {
        /// `1-255`, or words.
        expected: &'static str,
        /// The value.
        got: String,
    },
    /// Patroni's three times do not fit together.
    #[error(": loop_wait {loop_wait} + 2 * retry_timeout {retry_timeout} is more than ttl {ttl}")]
    Timing {
        /// Of these, those that the file does not name have their defaults.
        loop_wait: u64,
        /// Seconds.
        retry_timeout: u64,
        /// Seconds.
        ttl: u64,
    },
    /// WAL goes before the replicas that need it can have it. A warning.
    #[error(": max_wal_size `{got}` is more than max_slot_wal_keep_size `{keep}`")]
    KeepsTooLittle {
        /// max_wal_size.
        got: String,
        /// max_slot_wal_keep_size.
        keep: String,
    },
    /// A VRRP password that keepalived cannot hold.
    #[error(" {0}")]
    VrrpPassword(KeepalivedWordError),
    /// A password that is refused.
    #[error(" {0}")]
    Password(PasswordError),
    /// Not a member list of etcd.
    #[error(" {error}, got `{got}`")]
    MemberList {
        /// Why.
        error: MemberListError,
        /// The part of the value that is wrong.
        got: String,
    },
    /// `NODE5_IP` without `NODE4_IP`.
    #[error(" is set, but `{missing}` is not: nodes are numbered without a gap")]
    Gap {
        /// The key that is missing.
        missing: &'static str,
    },
    /// `NODE7_IP`.
    #[error(": a cluster has 3 to 6 nodes, NODE1_IP to NODE6_IP")]
    NoSuchNode,
    /// `NODE_ID` points to nothing.
    #[error(" is {id}, but `{missing}` is missing")]
    OwnAddressMissing {
        /// The number.
        id: u8,
        /// The key that is missing.
        missing: &'static str,
    },
    /// `NODE_IP` is not `NODE<ID>_IP`.
    #[error(" is `{got}`, but `NODE_ID` is {id} and `{other}` is `{expected}`")]
    NotOwnAddress {
        /// The number.
        id: u8,
        /// `NODE<ID>_IP`.
        other: &'static str,
        /// The value of that.
        expected: String,
        /// The value of `NODE_IP`.
        got: String,
        /// The node that has this address.
        meant: Option<u8>,
    },
    /// The addresses make no cluster.
    #[error(": {0}")]
    Cluster(TopologyError),
    /// Two nodes, or the VIP and a node, have one address.
    #[error(" is `{got}`, which is also `{other}`")]
    SameAddress {
        /// The other key.
        other: &'static str,
        /// The address.
        got: String,
    },
    /// The VIP is the network or broadcast address.
    #[error(" is `{got}`, the {what} address of its /{prefix} network")]
    NotAHost {
        /// `network` or `broadcast`.
        what: &'static str,
        /// The prefix length.
        prefix: u8,
        /// The address.
        got: String,
    },

    /// A slip of the hand. A warning.
    #[error(" is not a setting of this stack; `{known}` is")]
    Unknown {
        /// The key that is probably meant.
        known: &'static str,
    },
    /// Set twice. A warning.
    #[error(" is set again; line {earlier} no longer counts")]
    Again {
        /// The line before.
        earlier: usize,
    },
    /// The process says otherwise. A warning.
    #[error(" is different in the environment; the file counts")]
    EnvironmentDiffers,
    /// Only the process has it. A warning.
    #[error(" is not in the file; taken from the environment")]
    FromEnvironment,
    /// `KEY= # comment`. A warning.
    #[error(" has a value that begins with `#`: without a value before it, that is no comment")]
    CommentAsValue,
    /// Nodes outside the VIP's network. A warning.
    #[error(": {nodes} outside the VIP's network {network}")]
    OutsideNetwork {
        /// The VIP with its prefix length.
        network: String,
        /// `NODE3_IP is`, `NODE2_IP and NODE3_IP are`.
        nodes: String,
    },
    /// Two passwords for one thing. A warning.
    #[error(" is not `POSTGRESQL_PASSWORD`, which counts")]
    TwoPoolerPasswords,
    /// One password for two roles. A warning.
    #[error(" is the same as `{other}`")]
    SamePassword {
        /// The other key.
        other: &'static str,
    },
    /// A password that is easily guessed. A warning.
    #[error(" has only {0} characters")]
    ShortPassword(usize),
    /// MASTER where that defeats `nopreempt` or makes two of them. A warning.
    #[error(" is MASTER: {why}")]
    Master {
        /// What comes of it.
        why: &'static str,
    },
    /// The priority of another node. A warning.
    #[error(" is {priority}, the priority of node {node}")]
    SamePriority {
        /// The priority.
        priority: u8,
        /// The node that has it by its number.
        node: u8,
    },
    /// An image that is known not to do. A warning.
    #[error(" is `{got}`, an image of the shell version")]
    OldImage {
        /// The image.
        got: String,
    },
    /// A member that is no node. A warning.
    #[error(" lists `{member}`, which is none of the nodes")]
    ForeignMember {
        /// The part of the list.
        member: String,
    },
    /// This node is not in its own list. A warning.
    #[error(" does not list this node, `{member}`")]
    NotInMemberList {
        /// What should be in it.
        member: String,
    },
}
