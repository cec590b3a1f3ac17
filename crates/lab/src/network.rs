//! The lab's own network: internal, on a subnet that nothing on this machine uses.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions};
use pgstack_cluster_view::kernel_interfaces;

use crate::machine::LAB_LABEL;
use crate::{Lab, LabError};

/// A network 10.213.N.0/24: the gateway (this machine) is .1, machine i is .10+i, the VIP is .100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    third: u8,
}

impl Network {
    pub(crate) fn address(self, machine: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.third, 10 + machine)
    }

    pub(crate) fn vip(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.third, 100)
    }

    pub(crate) fn name(lab: &Lab) -> String {
        format!("pgstack-{}", lab.name())
    }

    /// The lab's network, if it has one.
    pub(crate) async fn find(lab: &Lab) -> Result<Option<Self>, LabError> {
        match lab.docker().inspect_network(&Self::name(lab), None::<InspectNetworkOptions>).await {
            Ok(network) => Ok(subnets(network.ipam).into_iter().find_map(|subnet| Self::of_subnet(&subnet))),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(LabError::engine("inspect the lab's network")(error)),
        }
    }

    /// The lab's network, made where there is none.
    pub(crate) async fn ensure(lab: &Lab) -> Result<Self, LabError> {
        if let Some(network) = Self::find(lab).await? {
            return Ok(network);
        }
        let taken = taken(lab).await?;
        let network = (0..=255)
            .map(|third| Self { third })
            .find(|network| !taken.iter().any(|taken| network.overlaps(*taken)))
            .ok_or(LabError::NoSubnet)?;
        let request = NetworkCreateRequest {
            name: Self::name(lab),
            driver: Some("bridge".to_owned()),
            internal: Some(true),
            labels: Some(HashMap::from([(LAB_LABEL.to_owned(), lab.name().to_owned())])),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(format!("10.213.{}.0/24", network.third)),
                    gateway: Some(format!("10.213.{}.1", network.third)),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            ..NetworkCreateRequest::default()
        };
        lab.docker().create_network(request).await.map_err(LabError::engine("make the lab's network"))?;
        Ok(network)
    }

    /// Removes the lab's network; it is fine when there is none.
    pub(crate) async fn remove(lab: &Lab) -> Result<(), LabError> {
        if Self::find(lab).await?.is_some() {
            lab.docker()
                .remove_network(&Self::name(lab))
                .await
                .map_err(LabError::engine("remove the lab's network"))?;
        }
        Ok(())
    }

    fn of_subnet(subnet: &str) -> Option<Self> {
        let third = subnet.strip_prefix("10.213.")?.strip_suffix(".0/24")?.parse().ok()?;
        Some(Self { third })
    }

    fn overlaps(self, (base, prefix): (Ipv4Addr, u8)) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(24))).unwrap_or(0);
        u32::from(base) & mask == u32::from(Ipv4Addr::new(10, 213, self.third, 0)) & mask
    }
}

/// What this machine uses: its own addresses, its routes, Docker's networks.
async fn taken(lab: &Lab) -> Result<Vec<(Ipv4Addr, u8)>, LabError> {
    let networks =
        lab.docker().list_networks(None::<ListNetworksOptions>).await.map_err(LabError::engine("list the networks"))?;
    let mut taken: Vec<(Ipv4Addr, u8)> =
        networks.into_iter().flat_map(|network| subnets(network.ipam)).filter_map(|text| parse(&text)).collect();
    let addresses = kernel_interfaces().map(|kernel| kernel.addresses().collect::<Vec<_>>()).unwrap_or_default();
    taken.extend(addresses.into_iter().map(|address| (address, 24)));
    taken.extend(routes(&std::fs::read_to_string("/proc/net/route").unwrap_or_default()));
    Ok(taken)
}

/// The destinations in `/proc/net/route` but the default route: hexadecimal, in host byte order.
fn routes(table: &str) -> Vec<(Ipv4Addr, u8)> {
    let field = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::swap_bytes);
    let destination = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (base, mask) = (field(fields.get(1)?)?, field(fields.get(7)?)?);
        (mask != 0).then(|| (Ipv4Addr::from(base), u8::try_from(mask.count_ones()).unwrap_or(32)))
    };
    table.lines().skip(1).filter_map(destination).collect()
}

fn subnets(ipam: Option<Ipam>) -> Vec<String> {
    let configs = ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    configs.into_iter().filter_map(|config| config.subnet).collect()
}

fn parse(subnet: &str) -> Option<(Ipv4Addr, u8)> {
    let (base, prefix) = subnet.split_once('/')?;
    Some((base.parse().ok()?, prefix.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_subnet_is_seen_whatever_its_size() {
        let network = Network { third: 3 };
        for (base, prefix, overlaps) in [
            ([10, 213, 3, 0], 24, true),
            ([10, 213, 3, 128], 25, true),
            ([10, 213, 4, 0], 24, false),
            ([10, 212, 0, 0], 15, true),
            ([10, 0, 0, 0], 8, true),
            ([192, 168, 0, 0], 16, false),
        ] {
            assert_eq!(network.overlaps((base.into(), prefix)), overlaps, "{base:?}/{prefix}");
        }
    }

    #[test]
    fn the_routing_table_is_read() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
                     eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\n\
                     eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n";
        assert_eq!(routes(table), [(Ipv4Addr::new(192, 0, 2, 0), 24)]);
    }
}
