//! `--fix` asks whoever sits at the terminal.

use pgstack_lab::STACK;

use super::trouble;

#[test]
fn nothing_is_run_before_somebody_says_yes() {
    trouble(async |patients| {
        let replica = patients.replica();
        replica.sh("docker stop haproxy").await.expect("stopped");
        patients.show(&["010"]).await;
        // a terminal of its own, at which the answer is typed once the question is there
        let answered = async |answer: &str| {
            let script = format!(
                "cd {STACK}; rm -f /tmp/terminal; touch /tmp/terminal
                 {{ until grep -q 'Run what is to be run here?' /tmp/terminal; do sleep 0.2; done; echo {answer}; }} |
                     script --flush --quiet --return --command './doctor --fix' /tmp/terminal"
            );
            replica.run(&["bash", "-c", &script]).await.expect("run")
        };
        let output = answered("no").await;
        assert_eq!(output.code, 1, "{}", output.stdout);
        patients.show(&["010"]).await;
        let output = answered("yes").await;
        assert_eq!(output.code, 0, "{}", output.stdout);
        assert!(output.stdout.contains("docker compose up -d --no-deps haproxy"), "{}", output.stdout);
    });
}
