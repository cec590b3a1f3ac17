//! What nodes compare with each other: every shared key that is no secret, and no other.

use std::collections::BTreeSet;

use pgstack_env::{key, load};

#[test]
fn every_shared_key_that_is_no_secret_is_compared_and_no_other() {
    let text = include_bytes!("../../../fixtures/env/valid/every-key.env");
    let env = load(text, &|_| None).expect("valid").env;
    let wanted: BTreeSet<&str> =
        key::ALL.into_iter().filter(|key| key.same_on_all_nodes && !key.secret).map(|key| key.name).collect();
    let shared = env.shared();
    assert_eq!(shared.keys().copied().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(shared["AGENT_IMAGE"], "registry.example:5000/agent:1");
    assert_eq!(shared["POSTGRES_MAX_WAL_SIZE"], "16GB");
    assert_eq!((shared["RTO_PROFILE"].as_str(), shared["DURABILITY"].as_str()), ("fast", "strict"));
}

#[test]
fn what_is_not_set_counts_with_its_default() {
    let text = include_bytes!("../../../fixtures/env/valid/three-nodes.env");
    let shared = load(text, &|_| None).expect("valid").env.shared();
    assert_eq!((shared["VIP_PREFIX"].as_str(), shared["KEEPALIVED_PREEMPT"].as_str()), ("24", "no"));
    assert!(shared.contains_key("NODE3_IP") && !shared.contains_key("NODE4_IP"));
    assert!(!shared.contains_key("PATRONI_TTL"), "the DCS's own business");
    assert_eq!(shared["RTO_PROFILE"], "balanced");
    assert!(!shared.contains_key("DURABILITY"), "the DCS's own business as well");
}
