//! A real browser, driven over its DevTools protocol through two pipes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long the browser may think about one question.
const LIMIT: Duration = Duration::from_secs(30);

/// Whether Debian's chromium is here; see [`crate::docker_or_skip`] for what happens otherwise.
///
/// # Panics
/// When `PGSTACK_REQUIRE_LAB=1` is set and there is none.
#[expect(clippy::print_stderr, reason = "a test's verdict")]
pub fn chromium_or_skip() -> bool {
    let mut version = std::process::Command::new("chromium");
    if version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return true;
    }
    let required = std::env::var_os("PGSTACK_REQUIRE_LAB").is_some_and(|value| value == "1");
    assert!(!required, "PGSTACK_REQUIRE_LAB=1, but there is no chromium (./dev test installs it)");
    eprintln!("SKIP: there is no chromium (./dev test installs it)");
    false
}

/// One page in a headless chromium, which ends with it.
#[derive(Debug)]
pub struct Page {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    asked: u64,
    _process: Child,
    _profile: TempDir,
}

impl Page {
    /// Starts a browser with an empty page.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn open() -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        // chromium reads questions from descriptor 3 and writes answers to 4
        let mut process = Command::new("sh")
            .args(["-c", r#"exec chromium "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#, "sh"])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--no-proxy-server", "--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium starts");
        let (questions, answers) = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
        let answers = BufReader::new(answers);
        let mut page = Self { questions, answers, session: None, asked: 0, _process: process, _profile: profile };
        let target = page.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = page.call("Target.attachToTarget", attach).await;
        page.session = session["sessionId"].as_str().map(str::to_owned);
        page.call("Page.enable", json!({})).await;
        page
    }

    /// Asks the browser.
    ///
    /// # Panics
    /// When it refuses, ends, or does not answer in time.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut question = json!({"id": self.asked, "method": method, "params": params});
        if let Some(session) = &self.session {
            question["sessionId"] = json!(session);
        }
        let mut bytes = question.to_string().into_bytes();
        bytes.push(0);
        self.questions.write_all(&bytes).await.expect("the browser listens");
        let answer = async {
            loop {
                let mut bytes = Vec::new();
                let read = self.answers.read_until(0, &mut bytes).await.expect("the browser tells");
                assert!(read > 0, "the browser has ended");
                let message: Value = serde_json::from_slice(bytes.strip_suffix(&[0]).unwrap_or(&bytes)).expect("JSON");
                // anything else is an event
                if message["id"] == self.asked {
                    return message;
                }
            }
        };
        let answer = tokio::time::timeout(LIMIT, answer).await.expect("an answer in time");
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Goes to an address.
    pub async fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
    }

    /// What an expression of JavaScript gives in the page; null where it throws, such as in a page that is not there yet.
    pub async fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.call("Runtime.evaluate", params).await["result"]["value"].clone()
    }

    /// Waits until an expression gives what is wanted.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn until(&mut self, expression: &str, wanted: Value, limit: Duration) {
        let began = std::time::Instant::now();
        loop {
            let found = self.value(expression).await;
            if found == wanted {
                return;
            }
            assert!(began.elapsed() < limit, "after {limit:?} {expression} is still {found} and not {wanted}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A screen of that size, dark or light.
    pub async fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", scheme).await;
    }

    /// A picture of what is on the screen, as a PNG.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn picture(&mut self, path: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        let bytes = STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(path, bytes).expect("a file");
    }
}
