//! Random clusters and hostile values.

use proptest::prelude::*;

use pgstack_env::dcs::{self, DcsSetting, DcsSettings, Notation};
use pgstack_env::{Durability, NodeEnv, Profile};
use pgstack_topology::{NodeId, NodeIp, Secret, Topology, Vip};

/// Words that some reader of some format takes for something else.
const TRAPS: &[&str] = &[
    "yes",
    "on",
    "off",
    "null",
    "~",
    "12:30",
    "0123",
    "1e3",
    "2024-01-01",
    "12345678",
    "-",
    "- a",
    "a: b",
    "#a",
    "a #b",
    "!x",
    "%x",
    "@x",
    "&x",
    "*x",
    "|",
    ">",
    "{a}",
    "[a]",
    "`id`",
    "$(id)",
    "${HOME}",
    "$HOME",
    "$$",
    "\\",
    "a\\",
    "\\n",
    "\"",
    "'",
    "''",
    "\"\"",
    "';--",
    " a ",
    "a ",
    "\ta",
    "é",
    "😀",
    "\u{85}",
    "\u{7f}",
    "\u{2028}",
    "\u{feff}a",
    "%5$s",
    "p'a\"s\\s$w{o}r#d !%@:",
    "=",
    "a=b",
    "a;b",
    "a&b",
    "%%",
    "<%= x %>",
    "{{ x }}",
    "md5x",
    "SCRAM",
];

/// A password that `.env` accepts: 1 to 64 characters, anything but line breaks and NUL, and not
/// what looks like a stored hash.
pub fn password() -> impl Strategy<Value = String> {
    let odd =
        prop::sample::select("\\\"'$#;:%@!&{}[],~`*?|<>=()-+./^_ \taé😀\u{85}\u{7f}0".chars().collect::<Vec<_>>());
    prop_oneof![
        2 => prop::sample::select(TRAPS).prop_map(str::to_owned),
        4 => prop::collection::vec(odd, 1..24).prop_map(|chars| chars.into_iter().collect()),
        1 => "[ -~]{1,64}",
        1 => "[A-Za-z0-9]{32}",
    ]
}

/// Some settings of the DCS, each with a value that it may have.
pub fn dcs_settings() -> impl Strategy<Value = DcsSettings> {
    let value = |setting: &'static DcsSetting| match setting.notation {
        Notation::Number => (50u32..=600).prop_map(|number| number.to_string()).boxed(),
        Notation::Word(words) => prop::sample::select(words).prop_map(str::to_owned).boxed(),
        Notation::Size { .. } | Notation::SizeOrNone { .. } => {
            let sized = (32u32..=2000, prop::sample::select(vec!["MB", "GB"]));
            let sized = sized.prop_map(|(number, unit)| format!("{number}{unit}"));
            let exact = (65_536u32..=9_000_000).prop_map(|number| format!("{number}kB"));
            prop_oneof![sized, exact].boxed()
        }
    };
    let each: Vec<_> = dcs::ALL.iter().map(|setting| prop::option::of(value(setting))).collect();
    let mode = prop::option::of(prop::sample::select(Durability::ALL.to_vec()));
    (each, mode).prop_map(|(values, mode)| {
        let mut settings = DcsSettings::default();
        for (setting, value) in dcs::ALL.iter().zip(values) {
            if let Some(value) = value {
                settings.name(setting, &value);
            }
        }
        if let Some(mode) = mode {
            settings.name_together(mode.settings());
        }
        settings
    })
}

/// Any profile, or none that is named.
pub fn profile() -> impl Strategy<Value = Option<Profile>> {
    prop::option::of(prop::sample::select(Profile::ALL.to_vec()))
}

/// 3 to 6 distinct addresses and a VIP.
pub fn topology() -> impl Strategy<Value = Topology> {
    let addresses = prop::collection::hash_set((1u8..=223, any::<u8>(), any::<u8>(), any::<u8>()), 4..=7);
    (addresses, 1u8..=32).prop_filter_map("usable addresses", |(addresses, prefix)| {
        let mut usable =
            addresses.into_iter().filter_map(|(a, b, c, d)| NodeIp::new([a, b, c, d].into()).ok()).collect::<Vec<_>>();
        usable.sort();
        let vip = Vip::new(usable.pop()?, prefix).ok()?;
        Topology::new(usable, vip).ok()
    })
}

/// Every node of one random cluster, with the same hostile passwords on all of them.
pub fn cluster() -> impl Strategy<Value = Vec<NodeEnv>> {
    let passwords = [(); 5].map(|()| password().prop_map(Secret::new));
    (topology(), passwords, "[A-Za-z0-9]{8}", 1u8..=255, any::<bool>(), profile(), dcs_settings()).prop_map(
        |(topology, [superuser, replication, pooler, restapi, stats], vrrp, router_id, preempt, profile, mut dcs)| {
            if let Some(profile) = profile {
                dcs.name_together(&profile.patroni());
            }
            let node = |id: NodeId| {
                let mut env = crate::example_node(1, 3);
                env.local = topology.clone().local(id).ok()?;
                env.vrrp.password = Secret::new(vrrp.clone());
                env.vrrp.router_id = router_id;
                env.vrrp.preempt = preempt;
                env.superuser_password = superuser.clone();
                env.replication_password = replication.clone();
                env.pooler_password = pooler.clone();
                env.restapi_password = restapi.clone();
                env.stats_password = stats.clone();
                env.profile = profile.unwrap_or_default();
                env.dcs = dcs.clone();
                Some(env)
            };
            NodeId::all().filter_map(node).collect()
        },
    )
}

/// Any one node of a random cluster.
pub fn node_env() -> impl Strategy<Value = NodeEnv> {
    (cluster(), any::<prop::sample::Index>()).prop_map(|(nodes, at)| at.get(&nodes).clone())
}
