//! 010 to 015: containers that do not run, fail, or are not what the files say.

use super::scene::{SERVICES, Scene, is_young};
use super::trouble::Trouble;
use crate::{Container, Local, Node, Risk, Severity, code};

/// A restart may follow the last one by so much and still count as a loop.
const LOOP_MS: u64 = 5 * 60_000;
/// So many restarts in that time are a loop.
const LOOP: u64 = 3;

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    scene
        .engines()
        .flat_map(|(node, local)| {
            let mut troubles: Vec<Trouble> = down(node, local).into_iter().collect();
            troubles.extend(memory(node, local));
            troubles.extend(failing(node, local));
            troubles.extend(foreign(node, local));
            troubles.extend(outdated(node, local));
            troubles.extend(unread(node, local));
            troubles
        })
        .collect()
}

fn runs(container: &Container) -> bool {
    matches!(container.status.as_str(), "running" | "restarting")
}

fn down(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    let mut down: Vec<(&str, String)> = Vec::new();
    for service in SERVICES {
        match local.containers.get(service) {
            None => down.push((service, "there is none".to_owned())),
            Some(container) if !runs(container) => down.push((service, state(container))),
            Some(_) => {}
        }
    }
    // one that was never made is PGS-074
    if let Some(container) = local.containers.get("keepalived").filter(|container| !runs(container)) {
        down.push(("keepalived", state(container)));
    }
    let names: Vec<&str> = down.iter().map(|(service, _)| *service).collect();
    if names.is_empty() {
        return None;
    }
    let list = names.join(", ");
    let verb = if names.len() == 1 { "does" } else { "do" };
    let mut trouble =
        Trouble::of(code::CONTAINER_DOWN, Severity::Warning, id, format!("{list} on node {id} {verb} not run"))
            .because("somebody stopped it, or it was never started; what stops by itself is started again by Docker");
    for (service, state) in &down {
        trouble = trouble.seen(format!("Docker on node {id}: container {service}: {state}")).service(service);
    }
    let paused: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| local.containers.get(*name).is_some_and(|container| container.status == "paused"))
        .collect();
    if !paused.is_empty() {
        trouble = trouble.safe(id, format!("docker unpause {}", paused.join(" ")), "lets it go on");
    }
    let stopped: Vec<&str> = names.iter().copied().filter(|name| !paused.contains(name)).collect();
    if !stopped.is_empty() {
        let profile = if stopped.contains(&"keepalived") { "--profile with-vip " } else { "" };
        let command = format!("docker compose {profile}up -d --no-deps {}", stopped.join(" "));
        trouble = trouble.safe(id, command, "starts it again").safe(id, "./deploy", "where that is not enough");
    }
    Some(trouble)
}

fn state(container: &Container) -> String {
    let code = container.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let trouble = container.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
    format!("{}{code}{trouble}", container.status)
}

fn memory(node: &Node, local: &Local) -> Vec<Trouble> {
    let id = node.id;
    let killed = local.containers.iter().filter(|(_, container)| container.oom_killed);
    killed
        .map(|(service, container)| {
            let what = format!("{service} on node {id} was killed by the kernel for its memory");
            let trouble = Trouble::of(code::OUT_OF_MEMORY, Severity::Warning, id, what)
                .service(service)
                .seen(format!("Docker on node {id}: container {service}: OOMKilled, {}", state(container)))
                .because("the machine has too little memory for what runs on it, or a setting promises more than there is")
                .by_hand(id, "`free -m` and `dmesg | grep -i oom` there: what used it up?")
                .by_hand(None, "POSTGRES_SHARED_BUFFERS, POSTGRES_WORK_MEM and POSTGRES_MAX_CONNECTIONS in .env must fit into memory");
            // Docker remembers it until the container starts anew
            if runs(container) && service == "patroni" {
                return trouble.by_hand(
                    id,
                    "this is told until the container starts anew, which restarts PostgreSQL: at a quiet moment, on the \
                     leader's node ./scripts/switchover first, then `docker restart patroni`; not in maintenance mode",
                );
            }
            if runs(container) {
                let restart = format!("docker restart {service}");
                return trouble.mend(id, Risk::Disturbing, restart, "once there is enough: cuts its clients off, and ends this finding");
            }
            trouble.safe(id, format!("docker compose up -d --no-deps {service}"), "starts it")
        })
        .collect()
}

fn failing(node: &Node, local: &Local) -> Vec<Trouble> {
    let id = node.id;
    let mut troubles = Vec::new();
    for (service, container) in &local.containers {
        let age = local.clock_ms.saturating_sub(container.started_at_ms);
        // what has become healthy since has left its loop
        let young = container.started_at_ms > 0 && local.clock_ms > 0 && age < LOOP_MS;
        let healthy = container.health.as_deref() == Some("healthy");
        let loops = container.status == "restarting" || container.restarts >= LOOP && young && !healthy;
        let unhealthy = container.health.as_deref() == Some("unhealthy") && !is_young(node, service);
        if !runs(container) || !(loops || unhealthy) {
            continue;
        }
        let how = if loops { "starts again and again" } else { "is unhealthy" };
        let health = container.health.as_ref().map(|health| format!(", {health}")).unwrap_or_default();
        let mut trouble =
            Trouble::of(code::CONTAINER_FAILS, Severity::Warning, id, format!("{service} on node {id} {how}"))
                .service(service)
                .seen(format!(
                    "Docker on node {id}: container {service}: {}{health}, {} restarts",
                    container.status, container.restarts
                ))
                .because(container.trouble.clone().unwrap_or_else(|| "its log tells".to_owned()));
        if let Some(said) = &container.trouble {
            trouble = trouble.seen(format!("log of {service} on node {id}: {said}"));
        }
        troubles.push(
            trouble.safe(id, "./deploy", "mends what is wrong with its files, folders and membership").by_hand(
                id,
                format!("where that is not enough: `docker logs --tail 50 {service}` tells in its own words"),
            ),
        );
    }
    troubles
}

/// The names of the containers that something holds for.
fn where_it_holds(local: &Local, holds: impl Fn(&Container) -> bool) -> Vec<&str> {
    local.containers.iter().filter(|(_, container)| holds(container)).map(|(name, _)| name.as_str()).collect()
}

fn foreign(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    let names = where_it_holds(local, |container| container.made_elsewhere.is_some());
    let first = names.first().and_then(|name| local.containers.get(*name)?.made_elsewhere.clone())?;
    let list = names.join(", ");
    let what = format!("{list} on node {id} was made elsewhere, not in the stack directory");
    let mut trouble = Trouble::of(code::CONTAINER_FOREIGN, Severity::Warning, id, what)
        .because("there is a second copy of the stack directory on that machine, and Compose was started in it")
        .by_hand(id, format!("decide which folder counts; the containers were made in: {first}"))
        .mend(
            id,
            Risk::Destructive,
            format!("docker rm -f {}", names.join(" ")),
            "cuts their clients off; the data stays in the other folder's data/",
        )
        .mend(id, Risk::Disturbing, "./deploy", "then, in the folder that counts");
    for name in names {
        let from = local.containers.get(name).and_then(|container| container.made_elsewhere.clone());
        trouble = trouble
            .service(name)
            .seen(format!("Docker on node {id}: container {name}: made in {}", from.unwrap_or_default()));
    }
    Some(trouble)
}

fn outdated(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    let names = where_it_holds(local, |container| container.outdated);
    if names.is_empty() {
        return None;
    }
    let list = names.join(", ");
    let cuts = names.iter().any(|name| !matches!(*name, "etcd" | "agent"));
    let risk = if cuts { Risk::Disturbing } else { Risk::Safe };
    let words = if cuts { "makes them anew, which cuts their clients off for a moment" } else { "makes them anew" };
    let what = format!("{list} on node {id} still runs as an older docker-compose.yaml or image made it");
    let mut trouble = Trouble::of(code::CONTAINER_OUTDATED, Severity::Notice, id, what)
        .because("docker-compose.yaml or an image changed, and `deploy` has not run since")
        .mend(id, risk, "./deploy", words);
    for name in names {
        let image = local.containers.get(name).map(|container| container.image.clone()).unwrap_or_default();
        trouble = trouble.service(name).seen(format!(
            "Docker on node {id}: container {name} (image {image}) is not as docker-compose.yaml says now"
        ));
    }
    Some(trouble)
}

fn unread(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    let names = where_it_holds(local, |container| container.unread);
    if names.is_empty() {
        return None;
    }
    let what = format!("{} on node {id} has not read its newer files", names.join(", "));
    let mut trouble = Trouble::of(code::FILES_UNREAD, Severity::Notice, id, what)
        .because("the files were made anew (bootstrap, gen-…), and nobody told the service")
        .safe(id, "./deploy", "lets each service read its files, which cuts no connection");
    for name in names {
        trouble = trouble
            .service(name)
            .seen(format!("agent on node {id}: the files of {name} are newer than what it runs with"));
    }
    Some(trouble)
}
