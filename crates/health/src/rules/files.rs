//! 080 to 087: generated files, `.env`, passwords, versions.

mod agreement;

use super::scene::{Scene, Silence, silence};
use super::trouble::Trouble;
use crate::{FileState, Local, Node, Risk, Severity, code};

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for (node, local) in scene.locals() {
        troubles.extend(odd(node, local));
        troubles.extend(readable(node, local));
        troubles.extend(weak(node, local));
        troubles.extend(address(node, local));
    }
    troubles.extend(scene.living().filter_map(invalid));
    troubles.extend(agreement::examine(scene));
    troubles
}

fn odd(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    // what everybody can read is PGS-082
    let odd: Vec<_> = local
        .odd_files
        .iter()
        .filter(|file| !(file.state == FileState::Access && local.readable_by_all.contains(&file.path)))
        .collect();
    if odd.is_empty() {
        return None;
    }
    let names: Vec<&str> = odd.iter().map(|file| file.path.as_str()).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let what = format!("{} on node {id} {verb} not what .env would make", names.join(", "));
    // a container that was made from the odd file is made anew, which cuts its clients off
    let disturbs = odd.iter().any(|file| file.path == "docker-compose.yaml" && file.state == FileState::Differs);
    let risk = if disturbs { Risk::Disturbing } else { Risk::Safe };
    let lines = odd.iter().map(|file| {
        let state = match file.state {
            FileState::Missing => "is missing",
            FileState::Differs => "holds something else",
            FileState::Access => "has another owner or mode",
        };
        format!("agent on node {id}: {} {state}", file.path)
    });
    let mut trouble = Trouble::of(code::FILE_ODD, Severity::Warning, id, what);
    if disturbs {
        trouble = trouble.service("docker-compose.yaml");
    }
    Some(
        trouble
            .seen_all(lines)
            .because("somebody edited it by hand, or .env was changed and `deploy` has not run since")
            .by_hand(id, "`./scripts/bootstrap --check` shows the differences; what you want to keep belongs into .env")
            .mend(id, risk, "./deploy", "makes the files anew and tells the services"),
    )
}

fn invalid(node: &Node) -> Option<Trouble> {
    let id = node.id;
    let why = match node.local.known() {
        // an agent that has not read the file yet says nothing about it
        Some(local) => {
            let asked = !matches!(silence(&local.settings)?, Silence::Network | Silence::Mute);
            local.settings.why().filter(|why| asked && !matches!(*why, "not asked" | "not read yet"))?
        }
        None => node.local.why().filter(|_| silence(&node.local) == Some(Silence::NoSettings))?,
    };
    Some(
        Trouble::of(code::ENV_INVALID, Severity::Warning, id, format!("the .env of node {id} is missing or invalid"))
            .seen(format!("agent on node {id}: {why}"))
            .because(
                "it was edited or lost; services go on with what they have read, but nothing can be deployed there",
            )
            .by_hand(id, "mend .env there, or copy another node's and set NODE_ID, NODE_IP and KEEPALIVED_INTERFACE")
            .safe(id, "./deploy", "afterwards"),
    )
}

fn readable(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    if local.readable_by_all.is_empty() {
        return None;
    }
    let list = local.readable_by_all.join(", ");
    let mut trouble =
        Trouble::of(code::SECRETS_READABLE, Severity::Warning, id, format!("everybody on node {id} can read {list}"))
            .seen_all(local.readable_by_all.iter().map(|path| format!("agent on node {id}: {path} is readable by all")))
            .because("it was copied or edited with a wide umask, or its mode was changed");
    // generated files belong to root and their service's group, which deploy sets
    let (own, generated): (Vec<&String>, Vec<&String>) =
        local.readable_by_all.iter().partition(|path| path.starts_with(".env"));
    for path in own {
        trouble = trouble.safe(id, format!("chmod 600 '{}'", path.replace('\'', "'\\''")), "only root reads it then");
    }
    if !generated.is_empty() {
        trouble = trouble.safe(id, "./deploy", "sets owner and mode of generated files");
    }
    Some(trouble)
}

fn weak(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    let weak: Vec<(&String, &String)> = local.warnings.iter().filter(|(key, _)| key.contains("PASS")).collect();
    if weak.is_empty() {
        return None;
    }
    let keys: Vec<&str> = weak.iter().map(|(key, _)| key.as_str()).collect();
    let what = format!("weak passwords in .env of node {id}: {}", keys.join(", "));
    Some(
        Trouble::of(code::SECRETS_WEAK, Severity::Warning, id, what)
            .several("weak passwords in .env")
            .seen_all(weak.iter().map(|(key, problem)| format!(".env of node {id}: {key}: {problem}")))
            .because("they are short, easily guessed, or the same for several roles")
            .by_hand(None, "choose new ones, the same in every .env: `openssl rand -hex 16` (KEEPALIVED_AUTH_PASS: `openssl rand -hex 4`)")
            .by_hand(None, "then ./deploy on all nodes at the same time: no application notices; docs/operations.md, \"Change passwords\""),
    )
}

fn address(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    let problem = local.address_problem.as_ref()?;
    let what = format!("NODE_IP or KEEPALIVED_INTERFACE of node {id} does not fit its machine");
    Some(
        Trouble::of(code::ADDRESS_NOT_HERE, Severity::Warning, id, what)
            .seen(format!("agent on node {id}: {problem}"))
            .because("the machine's address or interface was changed, or .env was copied from another node")
            .by_hand(id, "`ip -4 addr` shows what there is; put that into .env there (NODE_IP, KEEPALIVED_INTERFACE)")
            .safe(id, "./deploy", "afterwards"),
    )
}
