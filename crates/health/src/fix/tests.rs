//! Only what is safe, only here, each once, in an order that does not change.

use proptest::prelude::*;

use super::*;
use crate::Severity;

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("a node")
}

fn mend(node: Option<u8>, command: &str, risk: Risk) -> Mend {
    Mend { node: node.map(self::node), command: command.to_owned(), note: format!("does {command}"), risk }
}

fn found(code: &'static str, mends: Vec<Mend>) -> Finding {
    Finding {
        code,
        severity: Severity::Warning,
        node: None,
        what: "something".to_owned(),
        evidence: Vec::new(),
        cause: "some cause".to_owned(),
        mends,
    }
}

fn commands(plan: &Plan) -> Vec<&str> {
    plan.here.iter().map(|job| job.command.as_str()).collect()
}

#[test]
fn three_findings_with_one_command_are_one_job_and_deploy_comes_last() {
    let deploy = || vec![mend(Some(1), "./deploy", Risk::Safe)];
    let plan = plan(
        &[
            found("PGS-010", deploy()),
            found("PGS-080", deploy()),
            found("PGS-063", vec![mend(Some(1), "resume", Risk::Safe)]),
            found("PGS-080", vec![mend(None, "./deploy", Risk::Safe)]),
        ],
        node(1),
    );
    assert_eq!(commands(&plan), ["resume", "./deploy"]);
    assert_eq!(plan.here[1].codes, ["PGS-010", "PGS-080"]);
    assert_eq!(plan.left, []);
}

#[test]
fn a_step_behind_one_that_is_left_is_left_too() {
    let edit = mend(Some(1), "", Risk::Manual);
    let deploy = mend(Some(1), "./deploy", Risk::Safe);
    let there = mend(Some(2), "./deploy", Risk::Safe);
    let left = |findings: &[Finding]| plan(findings, node(1)).left.iter().map(|step| step.why).collect::<Vec<_>>();
    let edited = found("PGS-084", vec![edit, deploy.clone(), there]);
    assert_eq!(left(std::slice::from_ref(&edited)), [Why::NotSafe, Why::Later, Why::OtherNode]);
    assert_eq!(commands(&plan(std::slice::from_ref(&edited), node(1))), Vec::<&str>::new());
    let both = [edited, found("PGS-010", vec![deploy])];
    assert_eq!(left(&both), [Why::NotSafe, Why::OtherNode], "another finding has it free");
    assert_eq!(commands(&plan(&both, node(1))), ["./deploy"]);
}

#[test]
fn what_disturbs_for_one_finding_s_sake_runs_for_nobody_s() {
    let findings = [
        found("PGS-012", vec![mend(Some(1), "./deploy", Risk::Disturbing)]),
        found("PGS-010", vec![mend(Some(1), "docker start etcd", Risk::Safe), mend(Some(1), "./deploy", Risk::Safe)]),
    ];
    assert_eq!(commands(&plan(&findings, node(1))), ["docker start etcd"]);
    // on another node it is another command
    assert_eq!(commands(&plan(&findings[1..], node(1))), ["docker start etcd", "./deploy"]);
}

#[test]
fn what_other_nodes_have_to_mend_is_not_waited_for() {
    let at = |node: u8| {
        found("PGS-065", vec![mend(Some(node), "./deploy", Risk::Safe), mend(None, "look at .env", Risk::Manual)])
    };
    let ran = plan(&[at(1), at(2)], node(1)).here;
    assert_eq!(ran.len(), 1);
    let settling = |findings: &[Finding]| is_settling(findings, node(1), &ran);
    assert!(settling(&[at(1), at(2)]), "it does not show at once");
    assert!(!settling(&[at(2)]), "what is left is for node 2");
    assert!(!settling(&[found("PGS-033", vec![mend(None, "resume", Risk::Safe)])]), "nothing was run for it");
    assert!(!settling(&[]));
}

#[test]
fn a_command_with_a_control_character_is_run_by_nobody() {
    let findings = [found("PGS-037", vec![mend(None, "echo\nrm", Risk::Safe)])];
    assert_eq!(commands(&plan(&findings, node(1))), Vec::<&str>::new());
}

#[test]
fn steps_keep_their_order_even_behind_a_deploy() {
    let steps = vec![mend(None, "./deploy", Risk::Safe), mend(None, "look", Risk::Safe)];
    let plan = plan(&[found("PGS-010", steps), found("PGS-063", vec![mend(None, "resume", Risk::Safe)])], node(1));
    assert_eq!(commands(&plan), ["resume", "./deploy", "look"]);
    assert_eq!(plan.here[2].after, [1]);
}

fn a_mend() -> impl Strategy<Value = Mend> {
    let command = prop::sample::select(vec!["./deploy", "./deploy --no-vip", "a", "b", "c", " a ", ""]);
    let risk = prop::sample::select(vec![Risk::Safe, Risk::Safe, Risk::Disturbing, Risk::Destructive, Risk::Manual]);
    (prop::option::of(1_u8..=4), command, risk).prop_map(|(node, command, risk)| mend(node, command, risk))
}

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    let code = prop::sample::select(vec!["PGS-010", "PGS-011", "PGS-063", "PGS-080"]);
    let one = (code, prop::collection::vec(a_mend(), 0..4)).prop_map(|(code, mends)| found(code, mends));
    prop::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn only_what_is_safe_and_of_this_node_is_run_and_each_once(findings in findings()) {
        let plan = plan(&findings, node(1));
        let is_ours = |mend: &&Mend| mend.risk == Risk::Safe && mend.node.is_none_or(|id| id == node(1));
        for (place, job) in plan.here.iter().enumerate() {
            prop_assert!(!job.command.trim().is_empty());
            prop_assert!(
                findings.iter().flat_map(|finding| &finding.mends).filter(is_ours).any(|mend| mend.command.trim() == job.command),
                "{:?} is nowhere safe and here", job.command
            );
            let here = |mend: &&Mend| mend.node.is_none_or(|id| id == node(1)) && mend.command.trim() == job.command;
            prop_assert!(
                findings.iter().flat_map(|finding| &finding.mends).filter(here).all(|mend| mend.risk == Risk::Safe),
                "{:?} disturbs for another finding's sake", job.command
            );
            prop_assert_eq!(plan.here.iter().filter(|other| other.command == job.command).count(), 1);
            prop_assert!(job.after.iter().all(|before| *before < place));
            prop_assert!(!job.codes.is_empty());
        }
    }

    #[test]
    fn a_step_runs_only_where_all_steps_before_it_in_one_finding_run(findings in findings()) {
        let plan = plan(&findings, node(1));
        let runs = |mend: &Mend| mend.risk == Risk::Safe && mend.node.is_none_or(|id| id == node(1)) && !mend.command.is_empty();
        for job in &plan.here {
            let is_free = |finding: &Finding| {
                let at = finding.mends.iter().position(|mend| mend.command.trim() == job.command && runs(mend));
                at.is_some_and(|at| finding.mends[..at].iter().all(runs))
            };
            prop_assert!(findings.iter().any(is_free), "{:?}", job.command);
        }
    }

    #[test]
    fn every_step_is_run_or_left_and_the_plan_is_always_the_same(findings in findings()) {
        let made = plan(&findings, node(1));
        for finding in &findings {
            for step in &finding.mends {
                let run = made.here.iter().any(|job| job.command == step.command.trim());
                let left = made.left.iter().any(|left| left.mend.node == step.node && left.mend.command == step.command);
                prop_assert!(run || left, "{step:?} is forgotten");
            }
        }
        prop_assert_eq!(&made, &plan(&findings, node(1)));
        // a second copy of the same troubles changes nothing
        let twice: Vec<Finding> = findings.iter().chain(&findings).cloned().collect();
        prop_assert_eq!(&made, &plan(&twice, node(1)));
    }
}
