//! How this cluster logs in to its etcd, which takes orders from nobody else.

use pgstack_topology::Secret;

use crate::NodeEnv;

/// How every name of the stack's own users in etcd begins.
const PREFIX: &str = "patroni-stack-";

/// A user of etcd. Name and password follow from the passwords of `.env`: where those change, it is another user, so
/// that who still has the old ones goes on until all nodes have the new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdLogin {
    /// `patroni-stack-1a2b3c4d`. No secret.
    pub user: String,
    /// 32 hexadecimal digits.
    pub password: Secret,
}

impl EtcdLogin {
    /// Where a node keeps what it may log in with, relative to the stack directory: a line each, the one of its `.env` first.
    pub const PATH: &'static str = "etcd/login";

    /// Whether a user of etcd is one of the stack's own.
    pub fn is_ours(user: &str) -> bool {
        user.starts_with(PREFIX)
    }

    /// The lines of the file.
    pub fn to_text(logins: &[Self]) -> String {
        logins.iter().map(|login| format!("{}:{}\n", login.user, login.password.expose())).collect()
    }

    /// Reads what [`Self::to_text`] wrote. Lines that it cannot have written are skipped.
    pub fn from_text(text: &str) -> Vec<Self> {
        let login = |line: &str| {
            let (user, password) = line.split_once(':')?;
            let is_whole = Self::is_ours(user) && !password.is_empty();
            is_whole.then(|| Self { user: user.to_owned(), password: Secret::new(password) })
        };
        text.lines().filter_map(login).collect()
    }
}

impl NodeEnv {
    /// The user as which this `.env` logs in to etcd. The name is seen by others than the nodes, so it tells no more
    /// of the passwords than [`NodeEnv::agreement`] does.
    pub fn etcd_login(&self) -> EtcdLogin {
        let [name, password] = ["etcd user", "etcd password"].map(|what| self.made_of_all_passwords(what));
        EtcdLogin { user: format!("{PREFIX}{}", &name[..8]), password: Secret::new(password) }
    }

    /// What etcd signs with what it gives to those who have logged in.
    pub fn etcd_token_key(&self) -> Secret {
        let [left, right] = ["etcd token 1", "etcd token 2"].map(|what| self.made_of_all_passwords(what));
        Secret::new(left + &right)
    }

    fn made_of_all_passwords(&self, what: &str) -> String {
        Self::slow_hash::<16>(&[&self.superuser_password, &self.replication_password, &self.restapi_password], what)
    }
}
