//! 001 to 004: nodes, agents and ports that do not answer.

use pgstack_topology::port;

use super::scene::{SERVICES, Scene, Silence, runs_well, silence};
use super::trouble::Trouble;
use crate::{Node, Risk, Severity, code};

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for node in &scene.snapshot.nodes {
        if !node.reachable {
            troubles.push(silent(node));
            continue;
        }
        troubles.extend(agent(node));
        troubles.extend(ports(node));
    }
    troubles
}

fn silent(node: &Node) -> Trouble {
    let Node { id, address, .. } = node;
    Trouble::of(code::NODE_SILENT, Severity::Warning, *id, format!("node {id} does not answer"))
        .seen(format!("nothing came back from {address}, from no port"))
        .because("the machine is off, its network is cut, or a firewall drops everything that goes there")
        .by_hand(*id, format!("look at the machine: is it on, and does `ping {address}` reach it from the others?"))
        .mend(
            *id,
            Risk::Safe,
            "./deploy",
            "once it runs again, unless all comes back by itself; a machine that is lost: \
             docs/operations.md, \"Replace a machine\"",
        )
}

fn agent(node: &Node) -> Option<Trouble> {
    let id = node.id;
    let why = match node.local.known() {
        // a node whose own agent is silent looks at itself: the others cannot
        Some(local) if local.engine.is_empty() => "its Docker engine does not answer".to_owned(),
        Some(local) => {
            let agent = local.containers.get("agent").map_or("there is no container", |agent| agent.status.as_str());
            (agent != "running" && agent != "restarting").then(|| format!("its container: {agent}"))?
        }
        None => node.local.why()?.to_owned(),
    };
    if silence(&node.local) == Some(Silence::Password) {
        return Some(refused(node, &why));
    }
    // PGS-081 tells
    if silence(&node.local) == Some(Silence::NoSettings) {
        return None;
    }
    let silent = node.etcd.known().is_none()
        && node.patroni.known().is_none()
        && node.postgres.known().is_none()
        && node.haproxy.known().is_none()
        && node.pgbouncer.known().is_none();
    let (what, cause) = if silent {
        let cause = "Docker does not run there, the stack was stopped or never started, or a firewall is in the way";
        (format!("the machine of node {id} answers, but nothing of the stack does"), cause)
    } else {
        let cause = "its container does not run, or a firewall keeps port 8405 shut";
        (format!("the agent of node {id} does not answer, so what only its machine knows is unknown"), cause)
    };
    let mut trouble = Trouble::of(code::AGENT_SILENT, Severity::Warning, id, what)
        .service("agent")
        .seen(format!("agent on node {id}: {why}"))
        .because(cause);
    if silent {
        trouble = trouble
            .seen(format!("etcd, Patroni, PostgreSQL, HAProxy and PgBouncer on node {id}: no answer"))
            .by_hand(id, "`docker ps`: does Docker run? Else `systemctl start docker`");
    } else {
        trouble = trouble
            .safe(id, "docker compose up -d --no-deps agent", "harms nothing where it runs already")
            .by_hand(id, "where it runs: let the other nodes reach port 8405");
    }
    Some(trouble.safe(id, "./deploy", "brings everything up that is missing"))
}

fn refused(node: &Node, why: &str) -> Trouble {
    let id = node.id;
    let what = format!("the agent of node {id} does not accept the password of the other nodes");
    Trouble::of(code::AGENT_REFUSES, Severity::Warning, id, what)
        .service("agent")
        .seen(format!("agent on node {id}: {why}"))
        .because("POSTGRES_SUPERUSER_PASSWORD in its .env is another one than in the others'")
        .by_hand(id, "compare .env with the other nodes': POSTGRES_SUPERUSER_PASSWORD must be the same everywhere")
        .safe(id, "./deploy", "when .env is right; where the new password is the right one, on all nodes at once")
}

/// The container runs and complains of nothing, yet nothing answers at its port.
fn ports(node: &Node) -> Option<Trouble> {
    let asked = [
        ("etcd", port::ETCD_CLIENT, etcd_silence(node), Some(node.etcd.why().unwrap_or("no answer to clients"))),
        ("patroni", port::PATRONI_REST, silence(&node.patroni), node.patroni.why()),
        ("patroni", port::POSTGRES, silence(&node.postgres).filter(|_| postgres_runs(node)), node.postgres.why()),
        ("haproxy", port::HAPROXY_STATS, silence(&node.haproxy), node.haproxy.why()),
        ("pgbouncer", port::POOLER, silence(&node.pgbouncer), node.pgbouncer.why()),
    ];
    let shut: Vec<_> = asked
        .into_iter()
        .filter(|(service, _, silence, _)| *silence == Some(Silence::Network) && runs_well(node, service))
        .collect();
    let (id, address) = (node.id, node.address);
    let ports: Vec<String> = shut.iter().map(|(_, port, ..)| port.to_string()).collect();
    let list = ports.join(", ");
    let plural = if ports.len() == 1 { "" } else { "s" };
    let what = format!("port{plural} {list} of node {id} cannot be reached, though the services run there");
    let first = Trouble::of(code::PORT_BLOCKED, Severity::Warning, id, what)
        .because("a firewall on that machine or on the way drops these packets, or Docker's own rules were flushed");
    let trouble = shut.iter().fold(first, |trouble, (service, port, _, why)| {
        let mut trouble = trouble
            .seen(format!("{address}:{port}: {}", why.unwrap_or("no answer")))
            .seen(format!("agent on node {id}: the container {service} runs"));
        if SERVICES.contains(service) && !trouble.services.iter().any(|known| known == service) {
            trouble = trouble.service(service);
        }
        trouble
    });
    (!ports.is_empty()).then(|| {
        trouble
            .by_hand(id, format!("let the other nodes and clients reach {list}: `nft list ruleset` or `iptables -L -n` shows the rules"))
            .mend(
                id,
                Risk::Disturbing,
                "systemctl restart docker",
                "where a firewall was reloaded and took Docker's rules with it; restarts the containers there",
            )
    })
}

/// An etcd that answers its peers only, and yet is well for its own machine, is shut off from clients.
fn etcd_silence(node: &Node) -> Option<Silence> {
    match node.etcd.known() {
        Some(etcd) => (!etcd.serves).then_some(Silence::Network),
        None => silence(&node.etcd),
    }
}

/// PostgreSQL's port can only be told to be shut where its Patroni says that PostgreSQL runs.
fn postgres_runs(node: &Node) -> bool {
    node.patroni.known().is_some_and(|patroni| patroni.state == "running")
}
