//! What this node may log in to etcd with: as its `.env` says, and as it said before.

use pgstack_config::{Access, RenderedFile};
use pgstack_env::{EtcdLogin, NodeEnv};
use pgstack_workdir::{StackDir, WorkdirError};

/// The login of this `.env`, then those that this node has had before and may still need: while passwords change, etcd
/// knows the new one only when a node that has logged in with an old one tells it.
pub fn etcd_logins(stack: &StackDir, env: &NodeEnv) -> Vec<EtcdLogin> {
    // what cannot be read is no login
    all(env, &stack.read(EtcdLogin::PATH).ok().flatten().unwrap_or_default())
}

fn all(env: &NodeEnv, kept: &str) -> Vec<EtcdLogin> {
    let own = env.etcd_login();
    let earlier = EtcdLogin::from_text(kept).into_iter().filter(|login| login.user != own.user);
    [own.clone()].into_iter().chain(earlier).collect()
}

/// The file that keeps them, for the next run and for etcdctl, which takes the first. What it kept before stays in it.
pub(crate) fn file(stack: &StackDir, env: &NodeEnv) -> Result<RenderedFile, WorkdirError> {
    let kept = stack.read(EtcdLogin::PATH)?.unwrap_or_default();
    Ok(RenderedFile {
        path: EtcdLogin::PATH,
        access: Access::Service,
        contents: EtcdLogin::to_text(&all(env, &kept)),
        secret_markers: &[":"],
    })
}

/// Keeps this login alone: nobody needs an earlier one any more.
pub(crate) fn forget_earlier(stack: &StackDir, own: EtcdLogin) -> Result<(), WorkdirError> {
    let text = EtcdLogin::to_text(&[own]);
    if stack.read(EtcdLogin::PATH)?.as_deref() == Some(&text) {
        return Ok(());
    }
    stack.write_file(EtcdLogin::PATH, &text, Access::Service)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pgstack_testing::example_node;
    use pgstack_topology::Secret;

    use super::*;

    #[test]
    fn an_earlier_login_is_kept_until_nobody_needs_it_whatever_changes_in_between() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        fs::create_dir(stack.path("etcd")).expect("made");
        let (old, mut new) = (example_node(1, 3), example_node(1, 3));
        new.superuser_password = Secret::new("another-1");
        let (old_login, new_login) = (old.etcd_login(), new.etcd_login());
        // without a change of owner, which takes root
        let write =
            |env| fs::write(stack.path(EtcdLogin::PATH), file(&stack, env).expect("a file").contents).expect("written");
        for (env, want) in [
            (&old, vec![old_login.clone()]),
            (&new, vec![new_login.clone(), old_login.clone()]),
            (&new, vec![new_login.clone(), old_login.clone()]),
            // the change is taken back, and then made all the same
            (&old, vec![old_login.clone(), new_login.clone()]),
            (&new, vec![new_login, old_login]),
        ] {
            write(env);
            assert_eq!(etcd_logins(&stack, env), want);
        }
        // what cannot be read must not be written over
        fs::remove_file(stack.path(EtcdLogin::PATH)).expect("removed");
        fs::create_dir(stack.path(EtcdLogin::PATH)).expect("made");
        assert!(file(&stack, &new).is_err());
        assert_eq!(etcd_logins(&stack, &new), [new.etcd_login()]);
    }
}
