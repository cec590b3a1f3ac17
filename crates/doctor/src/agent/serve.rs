//! The agent's port: one question and two orders (pauses of the pooler that end by themselves), with the token. Nothing
//! that a caller sends is kept, and nobody can hold the port for long.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::answer::{Answers, Caller};
use super::{hold, pooler};

/// Where the facts are.
pub(super) const PATH: &str = "/facts";
/// Says how many milliseconds the answer took to make: `facts;dur=12`.
pub(super) const TOOK: HeaderName = HeaderName::from_static("server-timing");
/// How many may ask at once. Whoever comes on top waits to be heard.
const AT_ONCE: usize = 32;
/// How long a caller may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(2);
/// How long it may take in all.
const IN_ALL: Duration = Duration::from_secs(5);
/// How long those who are being answered are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// The largest head of a request.
const HEAD_BYTES: usize = 8192;

/// A port that is served.
#[derive(Debug)]
pub(super) struct Serving {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Serving {
    pub(super) fn start(address: SocketAddr, answers: &Arc<Answers>) -> io::Result<Self> {
        let listener = super::listen(address)?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, router(answers.clone()), stopped));
        Ok(Self { address, stop, accepting })
    }

    /// What it was told to listen at.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more callers, and answers those that are there.
    pub(super) async fn stop(self) {
        // nobody listens where the task has ended
        let _ = self.stop.send(true);
        let _ = self.accepting.await;
    }
}

fn router(answers: Arc<Answers>) -> Router {
    Router::new()
        .route(PATH, get(facts))
        .route(pooler::PATH, get(ready))
        .route(pooler::PAUSE, post(pause))
        .route(hold::PATH, post(hold))
        .with_state(answers)
}

/// What a caller gets that may not know; `None` for one that may.
fn turned_away(answers: &Answers, headers: &HeaderMap) -> Option<Response> {
    match answers.caller(headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes)) {
        Caller::Known => None,
        Caller::Stranger => Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()),
        Caller::NobodyCanTell => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
    }
}

/// Whether a pause could be asked for.
async fn ready(State(answers): State<Arc<Answers>>, headers: HeaderMap) -> Response {
    turned_away(&answers, &headers).unwrap_or_else(|| StatusCode::NO_CONTENT.into_response())
}

async fn pause(State(answers): State<Arc<Answers>>, headers: HeaderMap, uri: Uri) -> Response {
    if let Some(refusal) = turned_away(&answers, &headers) {
        return refusal;
    }
    let query = uri.query().unwrap_or_default();
    if let Some(time) = pooler::lease(query) {
        answers.lease(time);
    }
    pooler::pause(query).await.into_response()
}

async fn hold(State(answers): State<Arc<Answers>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = turned_away(&answers, &headers) {
        return refusal;
    }
    answers.hold();
    StatusCode::NO_CONTENT.into_response()
}

async fn facts(State(answers): State<Arc<Answers>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = turned_away(&answers, &headers) {
        return refusal;
    }
    let began = Instant::now();
    let facts = answers.facts().await;
    // so that the way alone can be told from it
    let took = format!("facts;dur={}", began.elapsed().as_millis());
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (TOOK, took)];
    (headers, facts).into_response()
}

async fn accept(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let stop = async {
            // an error: whoever could say so is gone
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let next = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = stop => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve(stream, router).await;
                    drop(slot);
                });
            }
            // too many open files, most likely: they become fewer
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    drop(listener);
    let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
    let _ = timeout(FAREWELL, slots.acquire_many(all)).await;
}

async fn serve(stream: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEAD_BYTES).keep_alive(false);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // a caller that went away is no trouble of ours
    let _ = timeout(IN_ALL, served).await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use pgstack_health::{NO_ANSWER, NO_TOKEN, REFUSED, TOKEN_REFUSED};
    use pgstack_topology::Secret;
    use pgstack_workdir::StackDir;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::client::ask_at;
    use super::*;

    const ENV: &str = "NODE_ID=1\nNODE_IP=10.0.0.1\nNODE1_IP=10.0.0.1\nNODE2_IP=10.0.0.2\nNODE3_IP=10.0.0.3\nVIP=10.0.0.9\n\
                       POSTGRES_SUPERUSER_PASSWORD=0h9Xq2Lr7Tb4\nPOSTGRES_REPLICATION_PASSWORD=5vN8wKd3Yz1c\n\
                       KEEPALIVED_AUTH_PASS=q7Rt2xLp\n";

    struct Served {
        _dir: tempfile::TempDir,
        stack: StackDir,
        answers: Arc<Answers>,
        address: SocketAddr,
        serving: Serving,
    }

    async fn served(env: &str) -> Served {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        std::fs::write(stack.path(".env"), env).expect("written");
        let answers = Arc::new(Answers::new(&stack));
        answers.refresh().await;
        // a port that was free a moment ago
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let serving = Serving::start(address, &answers).expect("served");
        Served { _dir: dir, stack, answers, address, serving }
    }

    fn token(env: &str) -> Secret {
        pgstack_env::load(env.as_bytes(), &|_| None).expect("valid").env.agent_token
    }

    async fn raw(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut said = String::new();
        stream.read_to_string(&mut said).await.expect("answered");
        said
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_shows_the_token_gets_the_facts_and_nobody_else_gets_anything() {
        let served = served(ENV).await;
        let (local, offset) = ask_at(served.address, &token(ENV)).await;
        let local = local.known().cloned().expect("facts");
        assert_eq!(local.settings.known().map(|settings| settings.shared["VIP"].clone()).as_deref(), Some("10.0.0.9"));
        assert!(offset.known().is_some_and(|offset| offset.abs() < 200), "{offset:?}");
        let other = token(&ENV.replace("0h9Xq2Lr7Tb4", "0h9Xq2Lr7Tb5"));
        let (local, offset) = ask_at(served.address, &other).await;
        assert_eq!((local.why(), offset.why()), (Some(TOKEN_REFUSED), Some(TOKEN_REFUSED)));
        for (request, status) in [
            ("GET /facts HTTP/1.1\r\nhost: x\r\n\r\n", "401"),
            ("GET /facts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \r\n\r\n", "401"),
            ("GET /facts HTTP/1.1\r\nhost: x\r\nauthorization: Basic eDp5\r\n\r\n", "401"),
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", "404"),
            ("POST /facts HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", "405"),
            ("GET /pooler HTTP/1.1\r\nhost: x\r\n\r\n", "401"),
            ("POST /pooler/pause?seconds=1&wait=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", "401"),
            ("POST /pooler/hold HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", "401"),
            ("GET /pooler/pause?seconds=1&wait=1 HTTP/1.1\r\nhost: x\r\n\r\n", "405"),
        ] {
            let said = raw(served.address, request).await;
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {said}");
            assert!(said.ends_with("\r\n\r\n"), "no body: {said}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_settings_it_says_so_and_with_a_later_mistake_it_goes_on() {
        let served = served("NODE_ID=1\n").await;
        let (local, _) = ask_at(served.address, &token(ENV)).await;
        assert_eq!(local.why(), Some(NO_TOKEN));
        std::fs::write(served.stack.path(".env"), ENV).expect("written");
        assert!(served.answers.refresh().await);
        let (local, _) = ask_at(served.address, &token(ENV)).await;
        assert!(local.known().is_some_and(|local| local.settings.known().is_some()), "{local:?}");
        std::fs::write(served.stack.path(".env"), ENV.replace("VIP=10.0.0.9", "VIP=10.0.0.2")).expect("written");
        assert!(served.answers.refresh().await);
        sleep_until_stale().await;
        let (local, _) = ask_at(served.address, &token(ENV)).await;
        let why = local.known().and_then(|local| local.settings.why().map(str::to_owned));
        assert!(why.as_ref().is_some_and(|why| why.contains("VIP")), "{local:?}");
    }

    /// An answer is good for a second.
    async fn sleep_until_stale() {
        sleep(Duration::from_millis(1050)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_says_nothing_is_hung_up_on_and_a_stopped_agent_refuses() {
        let served = served(ENV).await;
        let began = Instant::now();
        let said = raw(served.address, "GET /fa").await;
        assert!(began.elapsed() < IN_ALL, "{said}");
        let crowd = AT_ONCE * 2;
        let mut silent = Vec::new();
        for _ in 0..crowd {
            silent.push(TcpStream::connect(served.address).await.expect("connected"));
        }
        // those in front are hung up on after HEADERS each, so this one has to wait
        assert_eq!(ask_at(served.address, &token(ENV)).await.0.why(), Some(NO_ANSWER));
        drop(silent);
        served.serving.stop().await;
        assert_eq!(ask_at(served.address, &token(ENV)).await.0.why(), Some(REFUSED));
    }
}
