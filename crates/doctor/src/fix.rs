//! `doctor --fix`: the safe mends of this node, shown first, then run one after the other.

use std::process::Stdio;
use std::time::{Duration, Instant};

use pgstack_diagnostics::{Answer, Console, Ended};
use pgstack_env::NodeEnv;
use pgstack_health::fix::{Job, Left, Plan, Why, is_settling, plan};
use pgstack_health::{Finding, Risk, examine, report};
use pgstack_workdir::StackDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::examine::lasting;
use crate::{Doctor, DoctorError, gather};

/// How long facts may take to settle after the last command.
const SETTLE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn fix(
    stack: &StackDir,
    env: &NodeEnv,
    findings: &[Finding],
    options: Doctor,
    console: &dyn Console,
) -> Result<Ended, DoctorError> {
    if findings.is_empty() {
        return Ok(Ended::Done);
    }
    let plan = plan(findings, env.local.me().id());
    console.out("");
    show(&plan, console);
    if plan.here.is_empty() {
        console.note("Nothing here is safe to run on this node by itself.");
        return Ok(Ended::Unfinished);
    }
    if !agreed(options, console) {
        return Ok(Ended::Unfinished);
    }
    let mut worked = Vec::new();
    for (at, job) in plan.here.iter().enumerate() {
        if job.after.iter().any(|before| !worked.contains(before)) {
            console.warn(&format!("left out, as a step before it has failed: {}", job.command));
        } else if run(stack, &job.command, console).await {
            worked.push(at);
        }
    }
    let (left, unknown) = settled(stack, env, &plan.here, console).await;
    console.out("");
    console.out(report(&left, &unknown, options.width, options.colour).trim_end());
    Ok(if left.is_empty() { Ended::Done } else { Ended::Unfinished })
}

fn agreed(options: Doctor, console: &dyn Console) -> bool {
    if options.yes {
        return true;
    }
    match console.ask("Run what is to be run here?") {
        Answer::Yes => true,
        Answer::No => false,
        Answer::Nobody => {
            console.note("Nothing was run. Without a terminal, say --yes.");
            false
        }
    }
}

/// What will be run here, what on other nodes, and what is a person's to decide.
fn show(plan: &Plan, console: &dyn Console) {
    if !plan.here.is_empty() {
        console.out("To be run here:");
    }
    for Job { command, note, codes, .. } in &plan.here {
        console.out(&format!("  {command}  ({note}; {})", codes.join(", ")));
    }
    let headings = [
        (Why::OtherNode, "To be run on other nodes:"),
        (Why::NotSafe, "Left to you:"),
        (Why::Later, "After that, here:"),
    ];
    for (why, heading) in headings {
        let steps: Vec<&Left> = plan.left.iter().filter(|step| step.why == why).collect();
        if !steps.is_empty() {
            console.out(heading);
        }
        for step in steps {
            console.out(&format!("  {}", told(step)));
        }
    }
}

/// `on node 2: ./deploy  (makes it anew; PGS-012)`
fn told(Left { mend, codes, .. }: &Left) -> String {
    let place = mend.node.map_or_else(String::new, |node| format!("on node {node}: "));
    let risk = match mend.risk {
        Risk::Safe | Risk::Manual => "",
        Risk::Disturbing => "at a moment that you choose; ",
        Risk::Destructive => "deletes data or moves it aside; ",
    };
    let codes = codes.join(", ");
    if mend.command.is_empty() {
        return format!("{place}{}  ({risk}{codes})", mend.note);
    }
    format!("{place}{}  ({risk}{}; {codes})", mend.command, mend.note)
}

/// Runs a command in the stack directory and passes on what it says. False when it fails.
async fn run(stack: &StackDir, command: &str, console: &dyn Console) -> bool {
    console.note(&format!("$ {command}"));
    let child = Command::new("sh")
        .args(["-c", command])
        .current_dir(stack.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            console.warn(&format!("cannot run {command}: {error}"));
            return false;
        }
    };
    tokio::join!(pass_on(child.stdout.take(), console), pass_on(child.stderr.take(), console));
    match child.wait().await {
        Ok(status) if status.success() => true,
        Ok(status) => {
            console.warn(&format!("{command} failed: {status}"));
            false
        }
        Err(error) => {
            console.warn(&format!("{command}: {error}"));
            false
        }
    }
}

async fn pass_on(stream: Option<impl AsyncRead + Unpin>, console: &dyn Console) {
    let Some(stream) = stream else { return };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = stream.read_until(b'\n', &mut line).await {
        console.note(&format!("  {}", String::from_utf8_lossy(&line).trim_end()));
        line.clear();
    }
}

/// Looks until nothing is wrong, or only what nothing that was run here mends, or the time is up: what is left, and
/// what is not known.
async fn settled(stack: &StackDir, env: &NodeEnv, ran: &[Job], console: &dyn Console) -> (Vec<Finding>, Vec<String>) {
    console.begin("looking again");
    let began = Instant::now();
    loop {
        let findings = examine(&gather(stack, env).await);
        if !is_settling(&findings, env.local.me().id(), ran) || began.elapsed() > SETTLE {
            let left = lasting(stack, env).await;
            console.end("done");
            return left;
        }
        console.progress(&format!("{} findings left", findings.len()));
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Remembers what was said.
    #[derive(Default)]
    struct Ear(Mutex<Vec<String>>);

    impl Console for Ear {
        fn out(&self, line: &str) {
            self.note(line);
        }
        fn note(&self, line: &str) {
            self.0.lock().expect("no panic").push(line.to_owned());
        }
        fn warn(&self, line: &str) {
            self.note(line);
        }
        fn begin(&self, _step: &str) {}
        fn progress(&self, _detail: &str) {}
        fn end(&self, _outcome: &str) {}
        fn ask(&self, _question: &str) -> Answer {
            Answer::Nobody
        }
    }

    #[tokio::test]
    async fn a_command_runs_in_the_stack_directory_without_input_and_its_words_are_passed_on() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        let ear = Ear::default();
        assert!(run(&stack, "cat; pwd; echo trouble >&2", &ear).await);
        let said = ear.0.lock().expect("no panic").clone();
        assert!(said.contains(&format!("  {}", stack.root().display())), "{said:?}");
        assert!(said.contains(&"  trouble".to_owned()), "{said:?}");
        assert!(!run(&stack, "exit 3", &ear).await);
    }

    #[test]
    fn where_nobody_can_be_asked_nothing_is_run() {
        let options = Doctor { fix: true, yes: false, preflight: false, json: false, colour: false, width: 80 };
        let ear = Ear::default();
        assert!(!agreed(options, &ear));
        assert!(ear.0.lock().expect("no panic")[0].contains("--yes"));
        assert!(agreed(Doctor { yes: true, ..options }, &ear));
    }
}
