//! `ETCD_INITIAL_CLUSTER`: etcd's static member list.

use pgstack_topology::{AddressError, LocalNode, Node, NodeIp};

use super::reader::Reader;
use crate::key;
use crate::problem::ProblemKind;

/// Why a text is not a member list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberListError {
    /// Not that form.
    #[error("must be a list such as `etcd1=http://192.168.0.152:2380,etcd2=…`")]
    Syntax,
    /// An address that no other machine can reach.
    #[error("has a member whose address is {0}")]
    Address(AddressError),
    /// The same member twice.
    #[error("lists a name or an address twice")]
    Twice,
}

/// The list as it stands in the file, `None` where there is none or a problem was reported.
pub(super) fn read(reader: &mut Reader<'_>, local: Option<&LocalNode>) -> Option<String> {
    let given = reader.optional(key::ETCD_INITIAL_CLUSTER)?;
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for part in given.text.split(',') {
        let member = parse(part).and_then(|(name, url)| {
            let twice = seen.iter().any(|&(other, at)| other == name || at == url);
            if twice { Err(MemberListError::Twice) } else { Ok((name, url)) }
        });
        match member {
            Ok(member) => seen.push(member),
            Err(error) => {
                let got = reader.shown(part);
                reader.refuse(&given, ProblemKind::MemberList { error, got });
                return None;
            }
        }
    }
    if let Some(local) = local {
        let is = |node: Node, url: &str| node.etcd_peer_url() == url;
        if let Some((name, url)) = seen.iter().find(|(_, url)| !local.topology().nodes().any(|node| is(node, url))) {
            let member = reader.shown(&format!("{name}={url}"));
            reader.warn(&given, ProblemKind::ForeignMember { member });
        }
        if !seen.iter().any(|(_, url)| is(local.me(), url)) {
            let member = format!("{}={}", local.me().etcd_name(), local.me().etcd_peer_url());
            reader.warn(&given, ProblemKind::NotInMemberList { member });
        }
    }
    Some(given.text)
}

fn parse(member: &str) -> Result<(&str, &str), MemberListError> {
    let (name, url) = member.split_once('=').ok_or(MemberListError::Syntax)?;
    let authority = url.strip_prefix("http://").ok_or(MemberListError::Syntax)?;
    let (address, port) = authority.rsplit_once(':').ok_or(MemberListError::Syntax)?;
    let port_fits = !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    let name_fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !port_fits || !name_fits {
        return Err(MemberListError::Syntax);
    }
    match address.parse::<NodeIp>() {
        Ok(_) => Ok((name, url)),
        Err(AddressError::NotAnAddress) => Err(MemberListError::Syntax),
        Err(error) => Err(MemberListError::Address(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_a_name_and_an_http_url() {
        assert_eq!(parse("etcd1=http://10.0.0.1:2380"), Ok(("etcd1", "http://10.0.0.1:2380")));
        for bad in [
            "",
            "etcd1",
            "etcd1=",
            "=http://10.0.0.1:2380",
            "etcd1=10.0.0.1:2380",
            "etcd1=https://10.0.0.1:2380",
            "etcd1=http://10.0.0.1",
            "etcd1=http://10.0.0.1:0",
            "etcd1=http://10.0.0.1:65536",
            "etcd1=http://10.0.0.1:+1",
            "etcd1=http://10.0.0.1:2380/",
            "etcd1=http://node1:2380",
            " etcd1=http://10.0.0.1:2380",
        ] {
            assert_eq!(parse(bad), Err(MemberListError::Syntax), "{bad:?}");
        }
        assert!(matches!(parse("e=http://127.0.0.1:2380"), Err(MemberListError::Address(_))));
        assert!(matches!(parse("e=http://[fe80::1]:2380"), Err(MemberListError::Address(AddressError::Ipv6))));
    }
}
