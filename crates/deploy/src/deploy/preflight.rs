//! What has to be right before anything is changed.

use pgstack_cluster_view::kernel_interfaces;
use pgstack_containers::{ContainersError, Service, Up};
use pgstack_env::NodeEnv;
use pgstack_topology::ImageRef;

use crate::DeployError;
use crate::site::Site;

/// Every image is there, or can be fetched.
pub(crate) async fn images(site: &Site<'_>) -> Result<(), DeployError> {
    for &service in site.services() {
        image(site, service).await?;
    }
    Ok(())
}

/// One service's image is there, or can be fetched.
pub(crate) async fn image(site: &Site<'_>, service: Service) -> Result<(), DeployError> {
    let image = image_of(site, service);
    if !site.engine.has_image(image.as_ref()).await? {
        fetch(site, service, image).await?;
    }
    Ok(())
}

/// NODE_IP must be held by a real interface of this machine.
pub(crate) fn this_machine(site: &Site<'_>) -> Result<(), DeployError> {
    check_address(&site.env, site.up == Up::WithVip)
}

/// Whether NODE_IP is held by a real interface of this machine, and with the VIP by the one that gets it: asks
/// the kernel, and never guesses from the prefix.
pub fn check_address(env: &NodeEnv, with_vip: bool) -> Result<(), DeployError> {
    let Some(kernel) = kernel_interfaces() else { return Ok(()) };
    let address = env.local.me().ip().addr();
    match kernel.holder_of(address) {
        None => return Err(DeployError::NotMyAddress { address, held: kernel.describe() }),
        Some(interface) if interface == "docker0" || interface.starts_with("br-") => {
            // br-lan and the like are ordinary bridges; Docker's are br- and 12 hexadecimal digits
            let id = interface.trim_start_matches("br-");
            if interface == "docker0" || (id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit())) {
                return Err(DeployError::DockerAddress { address, interface: interface.to_owned() });
            }
        }
        Some(_) => {}
    }
    let wanted = env.vrrp.interface.to_string();
    if with_vip && !kernel.has_interface(&wanted) {
        return Err(DeployError::NoInterface { name: wanted, held: kernel.describe() });
    }
    // a second address of an interface may carry a label behind its name
    let holder = kernel.holder_of(address).and_then(|name| name.split(':').next()).unwrap_or_default();
    if with_vip && holder != wanted {
        return Err(DeployError::OtherInterface { name: wanted, address, holder: holder.to_owned() });
    }
    Ok(())
}

async fn fetch(site: &Site<'_>, service: Service, image: &ImageRef) -> Result<(), DeployError> {
    site.console.begin(&format!("fetching the image {image}"));
    let no_image = |detail: String| DeployError::NoImage { image: image.to_string(), service, detail };
    match site.engine.pull(image.as_ref()).await {
        Ok(()) => {
            site.console.end("done");
            Ok(())
        }
        Err(ContainersError::Engine { source, .. }) => Err(no_image(source.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn image_of<'a>(site: &'a Site<'_>, service: Service) -> &'a ImageRef {
    let images = &site.env.images;
    match service {
        Service::Etcd => &images.etcd,
        Service::Patroni => &images.patroni,
        Service::Haproxy => &images.haproxy,
        Service::Pgbouncer => &images.pgbouncer,
        Service::Agent => &images.agent,
        Service::Keepalived => &images.keepalived,
    }
}
