//! Makes the new cluster's data ready, in a folder of its own: the old data is only read.
//!
//! An etcd in a container without a network does it, so nobody else connects meanwhile, and no
//! configuration file ever says `force-new-cluster`.

use std::time::{SystemTime, UNIX_EPOCH};

use pgstack_config::Access;
use pgstack_containers::OneOff;
use pgstack_etcd::client::{NOBODY, WRONG};
use pgstack_etcd::{ClusterId, DataDir, Mark, MemberId, data_dir};
use serde_json::Value;

use super::kept_keys;
use super::plan::{COPY, Source};
use crate::files::ETCD_DATA;
use crate::patroni_keys::given_up;
use crate::site::Site;
use crate::{DeployError, consent};

/// The container that does it.
const NAME: &str = "patroni-stack-etcd-reset";
/// Lies in a folder of data whose rebuilding is complete, until etcd serves with it.
pub(super) const FINISHED: &str = "reset.json";
/// How long etcd may take to end by itself, in seconds.
const END: i32 = 30;
const LOG_LINES: usize = 8;
/// etcdctl as the user of another line of the file than the first.
const AS_ANOTHER: &str = "ETCDCTL_USER=$(sed -n \"$0p\" /config/login) exec etcdctl \"$@\"";

/// How much was taken along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The same cluster, without its other members.
    Whole,
    /// A new cluster with all keys of the old one's database.
    Database,
    /// A new cluster without keys.
    Empty,
}

/// Makes [`COPY`] ready. `None`: somebody did not want to begin without the old keys.
/// `old` is the cluster whose place the new one takes.
pub(super) async fn rebuild(
    site: &Site<'_>,
    source: Source,
    old: Option<ClusterId>,
    without_data: bool,
) -> Result<Option<ClusterId>, DeployError> {
    site.console.begin("the new cluster's data");
    let mut why = Vec::new();
    if source == Source::Data {
        for way in [Way::Whole, Way::Database] {
            match attempt(site, way).await? {
                Ok(()) => return finish(site, way, old).await.map(Some),
                Err(lines) => why = lines,
            }
            site.console.progress(match way {
                Way::Whole => "etcd cannot start with the old data; trying its database alone",
                _ => "the old database cannot be read either",
            });
        }
        site.console.warn(&format!("etcd's old data cannot be read:\n  {}", why.join("\n  ")));
        let question = "Begin without the old keys? Patroni writes them anew, but for changed settings (edit-config) that \
                        no running primary remembers. A node whose data can be read would be better.";
        if !consent::given(
            site.console,
            without_data,
            question,
            "--without-data, or run it on a node whose data can be read",
        ) {
            return Ok(None);
        }
    }
    match attempt(site, Way::Empty).await? {
        Ok(()) => finish(site, Way::Empty, old).await.map(Some),
        Err(lines) => Err(DeployError::EtcdCopy { detail: lines.join(" · ") }),
    }
}

/// Leaves nothing behind of the copy.
pub(super) async fn clear(site: &Site<'_>) -> Result<(), DeployError> {
    site.engine.remove(NAME).await?;
    site.stack.remove_folder(COPY)?;
    Ok(())
}

/// An etcd that serves from [`COPY`], in the container; or the last lines of its log.
async fn attempt(site: &Site<'_>, way: Way) -> Result<Result<(), Vec<String>>, DeployError> {
    site.engine.remove(NAME).await?;
    site.stack.remove_folder(COPY)?;
    match way {
        Way::Whole => site.stack.copy_folder(ETCD_DATA, COPY)?,
        Way::Database | Way::Empty => site.stack.make_data_dir(COPY)?,
    }
    if way == Way::Database {
        if !site.stack.path(&format!("{ETCD_DATA}/member/snap/db")).is_file() {
            return Ok(Err(vec!["there is no database member/snap/db".to_owned()]));
        }
        if let Err(lines) = restore(site).await? {
            return Ok(Err(lines));
        }
    }
    let mut command = [
        "etcd",
        "--data-dir=/var/lib/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]
    .map(str::to_owned)
    .to_vec();
    command.push(format!("--advertise-client-urls={}", site.desired.me().client_url));
    command.extend(identity(site));
    command.extend((way == Way::Whole).then(|| "--force-new-cluster".to_owned()));
    // with what etcdctl logs in, should the old data ask for it
    let binds = [(COPY, "/var/lib/etcd"), ("etcd", "/config:ro")];
    let bind = |(folder, to): (&str, &str)| format!("{}:{to}", site.stack.path(folder).display());
    run(site, command, binds.map(bind).to_vec()).await?;
    loop {
        if site.engine.exit_code(NAME).await?.is_some() {
            return Ok(Err(site.engine.last_log_lines(NAME, LOG_LINES).await?));
        }
        match etcdctl(site, &["endpoint", "health"]).await {
            Ok(_) => return Ok(Ok(())),
            // it serves, and takes orders from others alone; the keys are there, so nobody is asked to give them up
            Err(DeployError::EtcdCopy { detail }) if detail.contains(WRONG) => {
                let detail = "it has other users; put the passwords into .env that the cluster ran with".to_owned();
                return Err(DeployError::EtcdCopy { detail });
            }
            Err(DeployError::EtcdCopy { detail }) if detail.contains(NOBODY) => {
                let detail = "etcdctl of ETCD_IMAGE cannot log in; build the stack's own image anew".to_owned();
                return Err(DeployError::EtcdCopy { detail });
            }
            Err(_) => {}
        }
        pause(site).await?;
    }
}

/// `etcdutl snapshot restore` from the database alone, for a log that cannot be read.
async fn restore(site: &Site<'_>) -> Result<Result<(), Vec<String>>, DeployError> {
    let mut command: Vec<String> =
        ["etcdutl", "snapshot", "restore", "/old/member/snap/db", "--skip-hash-check", "--data-dir=/new/restored"]
            .map(str::to_owned)
            .to_vec();
    command.extend(identity(site));
    let bind = |folder: &str, to: &str| format!("{}:{to}", site.stack.path(folder).display());
    run(site, command, vec![bind(ETCD_DATA, "/old:ro"), bind(COPY, "/new")]).await?;
    let code = loop {
        if let Some(code) = site.engine.exit_code(NAME).await? {
            break code;
        }
        pause(site).await?;
    };
    if code != 0 {
        return Ok(Err(site.engine.last_log_lines(NAME, LOG_LINES).await?));
    }
    site.stack.rename_folder(&format!("{COPY}/restored/member"), &format!("{COPY}/member"))?;
    site.stack.remove_folder(&format!("{COPY}/restored"))?;
    Ok(Ok(()))
}

/// Who the one member is. The token makes the ids of a new cluster differ from those of every other:
/// members of an older one, come back from the dead, must not take part.
fn identity(site: &Site<'_>) -> Vec<String> {
    let me = site.desired.me();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    vec![
        format!("--name={}", me.name),
        format!("--initial-cluster={}={}", me.name, me.peer_url),
        format!("--initial-advertise-peer-urls={}", me.peer_url),
        format!("--initial-cluster-token=patroni-stack-{now}"),
    ]
}

/// What the new cluster has to know is written, the container ends, and the folder is marked as complete.
async fn finish(site: &Site<'_>, way: Way, old: Option<ClusterId>) -> Result<ClusterId, DeployError> {
    settle_address(site).await?;
    if way == Way::Empty {
        kept_keys::write(site, &async |arguments: &[&str]| etcdctl(site, arguments).await).await?;
    }
    if let (Way::Database | Way::Empty, Some(old)) = (way, old) {
        etcdctl(site, &["put", &given_up(old), "reset-etcd-node1"]).await?;
    }
    site.engine.end_one_off(NAME, END).await?;
    let DataDir::Initialised { member_id: Some(member_id), cluster_id: Some(cluster_id) } =
        data_dir::inspect(&site.stack.path(COPY))
    else {
        return Err(DeployError::EtcdCopy { detail: format!("the log in {COPY} names no member") });
    };
    let mark = Mark { cluster_id, member_id, peer_url: site.desired.me().peer_url.clone() };
    site.stack.write_file(&format!("{COPY}/{FINISHED}"), &mark.to_json(), Access::World)?;
    site.console.end(match way {
        Way::Whole => "the same cluster, with all its keys and this node alone",
        Way::Database => "a new cluster with the keys of the old database, and this node alone",
        Way::Empty => "a new cluster without the old keys, and this node alone",
    });
    Ok(cluster_id)
}

/// The one member lies at this node's address, which may have changed since it was a member of many.
async fn settle_address(site: &Site<'_>) -> Result<(), DeployError> {
    let me = site.desired.me();
    let list = etcdctl(site, &["member", "list", "-w", "json"]).await?;
    let unclear = || DeployError::EtcdCopy { detail: format!("its member list cannot be understood: {list}") };
    let json: Value = serde_json::from_str(&list).map_err(|_| unclear())?;
    let Some([member]) = json["members"].as_array().map(Vec::as_slice) else { return Err(unclear()) };
    let id = MemberId(member["ID"].as_u64().ok_or_else(unclear)?);
    let urls: Vec<&str> = member["peerURLs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if urls == [me.peer_url.as_str()] {
        return Ok(());
    }
    let others = || site.desired.seats().iter().filter(|seat| seat.node != me.node);
    if let Some(seat) = others().find(|seat| urls.contains(&seat.peer_url.as_str())) {
        let node = seat.node;
        return Err(super::ResetRefusal::DataOfAnotherNode { member: id, node }.into());
    }
    etcdctl(site, &["member", "update", &id.to_string(), &format!("--peer-urls={}", me.peer_url)]).await.map(drop)
}

async fn run(site: &Site<'_>, command: Vec<String>, binds: Vec<String>) -> Result<(), DeployError> {
    let job = OneOff { name: NAME, image: site.env.images.etcd.as_ref(), command, binds };
    Ok(site.engine.start_one_off(&job).await?)
}

/// A command to the etcd in the container, as the first user that it knows; what it printed.
async fn etcdctl(site: &Site<'_>, arguments: &[&str]) -> Result<String, DeployError> {
    let mut said = exec(site, &["etcdctl"], arguments).await;
    for line in 2..=site.desired.logins().len() {
        match &said {
            Err(DeployError::EtcdCopy { detail }) if detail.contains(WRONG) => {}
            _ => break,
        }
        said = exec(site, &["sh", "-c", AS_ANOTHER, &line.to_string()], arguments).await;
    }
    said
}

async fn exec(site: &Site<'_>, program: &[&str], arguments: &[&str]) -> Result<String, DeployError> {
    let output = site.engine.exec(NAME, None, &[program, arguments].concat()).await?;
    if output.code == 0 {
        return Ok(output.stdout);
    }
    // the health of an endpoint is told in several lines, the last of which says only that it is bad
    let lines: Vec<&str> = output.stderr.lines().collect();
    let last = lines.last().copied().unwrap_or_default();
    let refusal = lines.iter().find(|line| line.contains(WRONG) || line.contains(NOBODY));
    Err(DeployError::EtcdCopy { detail: refusal.copied().unwrap_or(last).to_owned() })
}

async fn pause(site: &Site<'_>) -> Result<(), DeployError> {
    if site.pause().await {
        return Ok(());
    }
    let log = site.engine.last_log_lines(NAME, LOG_LINES).await?;
    Err(DeployError::NotReady {
        what: "an etcd that reads the old data",
        detail: log.last().cloned().unwrap_or_default(),
        seconds: site.timeout_seconds(),
        log: None,
    })
}
