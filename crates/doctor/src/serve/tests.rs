//! The server as a client sees it, over a real socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pgstack_health::Snapshot;
use reqwest::{Client, Method, Response, StatusCode};

use super::*;

const TOKEN: &str = "a-token-of-some-length";

fn snapshot() -> Snapshot {
    let file = std::fs::read_to_string("../../fixtures/screens/two-troubles.json").expect("the sample");
    serde_json::from_str(&file).expect("a snapshot")
}

/// A server on loopback; how often it gathered.
async fn server(guard: Guard) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = listener.local_addr().expect("an address");
    let (latest, renewal) = Latest::new();
    let gathered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&gathered);
    tokio::spawn(renew(renewal, move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { snapshot() }
    }));
    tokio::spawn(async move { axum::serve(listener, answers::router(guard, latest)).await });
    (place, gathered)
}

fn with_token() -> Guard {
    Guard::of(([127, 0, 0, 1], 1).into(), Some(TOKEN.to_owned())).expect("a guard")
}

async fn get(place: SocketAddr, path: &str, header: Option<(&str, &str)>) -> Response {
    let request = Client::new().get(format!("http://{place}{path}"));
    let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn everything_is_served_to_this_machine_and_to_no_other_host_name() {
    let (place, _) = server(Guard::Loopback).await;
    for (path, part) in [
        ("/", "<svg"),
        ("/parts", "<svg"),
        ("/status.json", "\"findings\": ["),
        ("/metrics", "pgstack_leader{node=\"1\"} 1"),
    ] {
        let answer = get(place, path, None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert!(answer.text().await.expect("text").contains(part), "{path}");
        let rebound = get(place, path, Some(("host", "evil.example"))).await;
        assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert!(!rebound.text().await.expect("text").contains(part), "{path}");
    }
    assert_eq!(get(place, "/other", None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_what_the_page_brought_itself_runs_in_it() {
    let (place, _) = server(Guard::Loopback).await;
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let answer = get(place, "/", None).await;
        let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        let nonce =
            policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce");
        assert!(answer.text().await.expect("text").contains(&format!("<script nonce=\"{nonce}\">")));
        nonces.push(nonce.to_owned());
    }
    assert_ne!(nonces[0], nonces[1], "each answer has its own");
}

#[tokio::test]
async fn nothing_but_reading_is_possible() {
    let (place, _) = server(Guard::Loopback).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let request = Client::new().request(method.clone(), format!("http://{place}/status.json"));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let head = Client::new().head(format!("http://{place}/")).send().await.expect("an answer");
    assert_eq!(head.status(), StatusCode::OK);
}

#[tokio::test]
async fn without_the_token_nothing_is_told_and_nothing_is_gathered() {
    let (place, gathered) = server(with_token()).await;
    for path in
        ["/", "/parts", "/status.json", "/metrics", "/other", "/?token=wrong", "/metrics?token=a-token-of-some-length"]
    {
        let answer = get(place, path, None).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert!(!answer.text().await.expect("text").contains("192.168"), "{path}");
    }
    for wrong in [("authorization", "Bearer wrong"), ("authorization", TOKEN), ("cookie", "pgstack_status=wrong")] {
        assert_eq!(get(place, "/metrics", Some(wrong)).await.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
    assert_eq!(gathered.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_token_counts_as_a_header_and_goes_from_the_address_into_a_cookie() {
    let (place, _) = server(with_token()).await;
    let bearer = format!("Bearer {TOKEN}");
    let answer = get(place, "/metrics", Some(("authorization", &bearer))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = get(place, &format!("/?token={TOKEN}"), None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    assert!(!answer.text().await.expect("text").contains(TOKEN), "it does not stay in sight");
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    let answer = get(place, "/", Some(("cookie", &format!("other=1; {pair}")))).await;
    assert!(answer.text().await.expect("text").contains("<svg"));
}

#[tokio::test]
async fn many_who_look_share_one_snapshot_and_nobody_looking_costs_nothing() {
    let (place, gathered) = server(Guard::Loopback).await;
    assert_eq!(gathered.load(Ordering::SeqCst), 0, "nobody asked");
    let answers = (0..20).map(|_| get(place, "/status.json", None));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(gathered.load(Ordering::SeqCst), 1);
}
