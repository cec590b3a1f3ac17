//! etcd's own users: as whom a node logs in, and what is missing until it can.

use std::fmt;

use pgstack_env::EtcdLogin;

/// etcd asks nobody for a name before it has this user, and the role of this name may do everything.
const ROOT: &str = "root";

/// Whether etcd takes orders from those who have not logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// From everybody who reaches its port.
    Open,
    /// Only from its users, of which this node is one.
    Closed,
    /// Only from its users, and this node is none of them.
    Locked,
}

/// The users and roles that etcd has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// Each user, and whether it may do everything.
    pub users: Vec<(String, bool)>,
    /// The roles.
    pub roles: Vec<String>,
}

/// One change of etcd's users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChange {
    /// Makes the role that may do everything.
    AddRole,
    /// Makes `root`, as whom nobody can log in: it has no password.
    AddRoot,
    /// Makes the user of this login, with another password: as long as it may do nothing, nobody is to log in as it.
    Add(EtcdLogin),
    /// Gives the user of this login its password.
    SetPassword(EtcdLogin),
    /// Lets a user do everything.
    Grant(String),
    /// Takes a user away; who is logged in as this one is so no more.
    Delete(String),
}

impl fmt::Display for UserChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddRole => write!(f, "make the role {ROOT}"),
            Self::AddRoot => write!(f, "make the user {ROOT}"),
            Self::Add(login) => write!(f, "make the user {}", login.user),
            Self::SetPassword(login) => write!(f, "set the password of {}", login.user),
            Self::Grant(user) => write!(f, "let {user} in"),
            Self::Delete(user) => write!(f, "delete the user {user}"),
        }
    }
}

impl Users {
    /// The names of etcd's part in it.
    pub(crate) const ROOT: &'static str = ROOT;

    /// What must happen, in this order, until `login` can log in, and then may do everything. Killed anywhere in between
    /// it has not begun to be able to.
    pub fn admit(&self, login: &EtcdLogin) -> Vec<UserChange> {
        let found = self.users.iter().find(|(user, _)| *user == login.user);
        let mut changes = Vec::new();
        if found.is_none() {
            changes.push(UserChange::Add(login.clone()));
        }
        if !found.is_some_and(|(_, granted)| *granted) {
            changes.push(UserChange::Grant(login.user.clone()));
        }
        changes.push(UserChange::SetPassword(login.clone()));
        changes
    }

    /// What etcd wants before it can be told to ask for users: `root`. It is made anew, should somebody have made it
    /// before, while everybody could.
    pub fn prepare(&self) -> Vec<UserChange> {
        let mut changes = Vec::new();
        if !self.roles.iter().any(|role| role == ROOT) {
            changes.push(UserChange::AddRole);
        }
        if self.users.iter().any(|(user, _)| user == ROOT) {
            changes.push(UserChange::Delete(ROOT.to_owned()));
        }
        changes.extend([UserChange::AddRoot, UserChange::Grant(ROOT.to_owned())]);
        changes
    }

    /// Who else may do everything, beside `root` and the stack's own.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        let other = |(user, granted): &&(String, bool)| *granted && user != ROOT && !EtcdLogin::is_ours(user);
        self.users.iter().filter(other).map(|(user, _)| user.as_str())
    }

    /// What takes away the stack's users of earlier passwords.
    pub fn forget_all_but(&self, login: &EtcdLogin) -> Vec<UserChange> {
        let earlier = |user: &&String| EtcdLogin::is_ours(user) && **user != login.user;
        self.users.iter().map(|(user, _)| user).filter(earlier).cloned().map(UserChange::Delete).collect()
    }
}

#[cfg(test)]
mod tests {
    use pgstack_testing::example_node;
    use proptest::prelude::*;

    use super::*;

    /// etcd's part, as it does it: the users with what they may do, and those who can log in as this node wants to.
    #[derive(Debug, Default, Clone)]
    struct Etcd {
        users: Users,
        with_password: Vec<String>,
    }

    impl Etcd {
        fn place(&self, name: &str) -> Option<usize> {
            self.users.users.iter().position(|(user, _)| user == name)
        }

        fn apply(&mut self, change: &UserChange) {
            match change {
                UserChange::AddRole => {
                    assert!(!self.users.roles.contains(&ROOT.to_owned()), "role name already exists");
                    self.users.roles.push(ROOT.to_owned());
                }
                UserChange::AddRoot | UserChange::Add(_) => {
                    let name = if let UserChange::Add(login) = change { &login.user } else { ROOT };
                    assert!(self.place(name).is_none(), "user name already exists");
                    self.users.users.push((name.to_owned(), false));
                }
                UserChange::SetPassword(login) => {
                    let at = self.place(&login.user).expect("user name not found");
                    assert!(self.users.users[at].1, "nobody logs in who may do nothing");
                    self.with_password.push(login.user.clone());
                }
                UserChange::Grant(name) => {
                    assert!(self.users.roles.contains(&ROOT.to_owned()), "role name not found");
                    let at = self.place(name).expect("user name not found");
                    self.users.users[at].1 = true;
                }
                UserChange::Delete(name) => {
                    self.users.users.remove(self.place(name).expect("user name not found"));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn killed_anywhere_and_run_again_it_ends_with_one_that_can_log_in(
            there in prop::collection::vec(any::<bool>(), 5), killed_after in 0_usize..8,
        ) {
            let login = example_node(1, 3).etcd_login();
            let earlier = "patroni-stack-00000000".to_owned();
            let mut etcd = Etcd::default();
            if there[0] { etcd.users.roles.push(ROOT.to_owned()); }
            if there[1] { etcd.users.users.push((ROOT.to_owned(), there[0] && there[2])); }
            if there[3] { etcd.users.users.push((login.user.clone(), there[0] && there[4])); }
            etcd.users.users.extend([(earlier.clone(), true), ("grafana".to_owned(), false), ("eve".to_owned(), true)]);
            let all = |etcd: &Etcd| {
                let mut changes = etcd.users.prepare();
                changes.extend(etcd.users.admit(&login));
                changes
            };
            for change in all(&etcd).iter().take(killed_after) { etcd.apply(change); }
            for change in all(&etcd) { etcd.apply(&change); }
            let mut want = vec![(ROOT.to_owned(), true), (login.user.clone(), true), (earlier.clone(), true)];
            want.extend([("grafana".to_owned(), false), ("eve".to_owned(), true)]);
            want.sort();
            etcd.users.users.sort();
            prop_assert_eq!(&etcd.users.users, &want);
            prop_assert!(etcd.with_password.contains(&login.user));
            prop_assert_eq!(etcd.users.others().collect::<Vec<_>>(), ["eve"]);
            prop_assert_eq!(etcd.users.forget_all_but(&login), [UserChange::Delete(earlier)], "and nobody else's");
        }
    }

    #[test]
    fn no_change_shows_a_password() {
        let login = example_node(1, 3).etcd_login();
        for change in [UserChange::Add(login.clone()), UserChange::SetPassword(login.clone())] {
            assert!(!format!("{change} {change:?}").contains(login.password.expose()));
        }
    }
}
