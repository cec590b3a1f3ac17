//! What to do about a problem. Most of these come from the troubleshooting of the shell version.

use pgstack_config::escape::KeepalivedWordError;
use pgstack_topology::{AddressError, NameError};

use super::ProblemKind;
use crate::load::PasswordError;
use crate::{dcs, key};

pub(super) fn hint(name: &str, kind: &ProblemKind) -> Option<String> {
    let text = match kind {
        ProblemKind::NotUtf8 => "save the file as UTF-8",
        ProblemKind::Nul => "the file may be UTF-16: save it as UTF-8",
        ProblemKind::KeyCharacter
        | ProblemKind::KeyBlank
        | ProblemKind::NoKey
        | ProblemKind::EndOfFileInKey
        | ProblemKind::ExportAlone => {
            "write one `KEY=value` a line, a comment on a line of its own, and nothing behind a closing quote"
        }
        ProblemKind::Unterminated => "close the quote; inside double quotes write `\\\"` for a quote",
        ProblemKind::Template => "write `$$` for a plain `$`, or put the value in single quotes",
        ProblemKind::UnsetVariable { .. } => {
            "if the `$` belongs to the value, write `$$` or put the value in single quotes"
        }
        ProblemKind::VrrpPassword(KeepalivedWordError::TooLong(_)) => {
            "VRRP compares 8 bytes, and `keepalived --config-test` fails on more: \
             give KEEPALIVED_AUTH_PASS 8 letters and digits, the same on every node"
        }
        ProblemKind::VrrpPassword(_) => {
            "keepalived's file has no escapes: give KEEPALIVED_AUTH_PASS 8 letters and digits, the same on every node"
        }
        ProblemKind::Password(PasswordError::LooksLikeAHash) => {
            "PostgreSQL and PgBouncer take it for a stored hash: write the password itself"
        }
        ProblemKind::Password(PasswordError::DollarQuote) => "a single `$` is fine",
        ProblemKind::Password(PasswordError::NotAscii) => "printable ASCII has enough letters, digits and signs",
        ProblemKind::Password(_) if name == key::KEEPALIVED_AUTH_PASS => return Some(missing_hint(name).to_owned()),
        ProblemKind::Password(_) => PASSWORD_HINT,
        ProblemKind::ShortPassword(_) => "32 letters and digits, as `openssl rand -hex 16` prints, cannot be guessed",
        ProblemKind::Missing { .. } | ProblemKind::Empty => return Some(missing_hint(name).to_owned()),
        ProblemKind::Address { error: AddressError::Ipv6, .. } => {
            "give every machine an IPv4 address on the network that the nodes share"
        }
        ProblemKind::Address { error: AddressError::Unreachable { .. }, .. } => {
            "use the address of the machine's own network interface, as `ip -4 addr` shows it"
        }
        ProblemKind::Timing { .. } => {
            "Patroni would shorten loop_wait and retry_timeout without a word: raise PATRONI_TTL, or lower the other two; \
             what .env does not name counts as RTO_PROFILE has it (balanced: ttl 30, loop_wait 5, retry_timeout 10), so best \
             name all three, or none"
        }
        ProblemKind::KeepsTooLittle { .. } => {
            "a replica that is away for a moment would lose its slot: give POSTGRES_MAX_SLOT_WAL_KEEP_SIZE twice as much"
        }
        ProblemKind::NotOneOf { .. } if dcs::find(name).is_some_and(|it| it.notation != dcs::Notation::Number) => {
            "write a whole number with its unit, kB, MB, GB or TB, as in 64MB"
        }
        ProblemKind::NodeId { .. } => "NODE_ID says which of NODE1_IP to NODE6_IP this machine is",
        ProblemKind::Gap { .. } | ProblemKind::NoSuchNode => {
            "number the nodes from NODE1_IP on without a gap, at least 3 and at most 6, the same on every node"
        }
        ProblemKind::OwnAddressMissing { .. } => {
            "a new node is added to the list on every node, with the same NODE1_IP to NODE6_IP everywhere"
        }
        ProblemKind::NotOwnAddress { meant: Some(meant), .. } => {
            return Some(format!(
                "NODE_ID and NODE_IP differ from machine to machine: if this is node {meant}, write NODE_ID={meant}"
            ));
        }
        ProblemKind::NotOwnAddress { meant: None, .. } => {
            "NODE_IP is this machine's line of the list NODE1_IP to NODE6_IP, which is the same on every node"
        }
        ProblemKind::SameAddress { .. } if name == key::VIP => {
            "the VIP is an address of its own that no machine has: it moves between them"
        }
        ProblemKind::SameAddress { .. } => "every node has an address of its own",
        ProblemKind::NotAHost { .. } => {
            "choose a free address of the nodes' network, and the prefix length that `ip -4 addr` shows as VIP_PREFIX"
        }
        ProblemKind::OutsideNetwork { .. } => {
            "clients reach the VIP only where its network is the nodes' own: compare VIP and VIP_PREFIX with `ip -4 addr`"
        }
        ProblemKind::Name { error: NameError::Interface, .. } => {
            "KEEPALIVED_INTERFACE is the name that `ip -4 addr` shows beside NODE_IP"
        }
        ProblemKind::MemberList { .. } | ProblemKind::ForeignMember { .. } | ProblemKind::NotInMemberList { .. } => {
            "delete ETCD_INITIAL_CLUSTER: `deploy` finds out itself, \
             and a list that does not fit makes etcd say \"member count is unequal\""
        }
        ProblemKind::Master { .. } => "delete KEEPALIVED_STATE; KEEPALIVED_PREEMPT=yes makes node 1 the MASTER",
        ProblemKind::SamePriority { .. } => "delete KEEPALIVED_PRIORITY: it follows from NODE_ID",
        ProblemKind::OldImage { .. } => "delete the line to use this stack's own image",
        ProblemKind::TwoPoolerPasswords => "PGBOUNCER_AUTH_PASSWORD is the older name: delete that line",
        ProblemKind::CommentAsValue => "put the comment on a line of its own, or the value in quotes",
        ProblemKind::SamePassword { .. } => "the replication password lies in more places: make it another one",
        _ => return None,
    };
    Some(text.to_owned())
}

const PASSWORD_HINT: &str =
    "no password has a default: choose one, the same on every node, such as `openssl rand -hex 16` prints";

fn missing_hint(name: &str) -> &'static str {
    match name {
        key::NODE_ID => "NODE_ID is this machine's number: 1 on the first, 2 on the second, and so on",
        key::NODE_IP => {
            "NODE_IP is this machine's address, as `ip -4 addr` shows it; \
             without it Patroni would register the address of a Docker bridge (172.18.x)"
        }
        key::VIP => "VIP is a free address of the nodes' network, the same on every node",
        key::KEEPALIVED_AUTH_PASS => "give KEEPALIVED_AUTH_PASS 8 letters and digits, the same on every node",
        name if key::NODE_IPS.contains(&name) => {
            "every node needs NODE1_IP, NODE2_IP and NODE3_IP; without them Patroni reports \"No host specified\""
        }
        _ => PASSWORD_HINT,
    }
}
