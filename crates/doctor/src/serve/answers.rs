//! What is answered at which path. Only GET and HEAD; nothing here changes anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use pgstack_health::{Report, metrics, page, parts};
use pgstack_topology::Secret;

use super::guard::{COOKIE_NAME, Guard, Verdict};
use super::latest::{Latest, Seen};

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Everything that is served.
pub(super) fn router(guard: Guard, latest: Latest) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/parts", get(renewed))
        .route("/status.json", get(json))
        .route("/metrics", get(prometheus))
        .with_state(latest)
        .layer(from_fn_with_state(Arc::new(guard), guarded))
}

/// Nothing is answered, not even that a path does not exist, to whom nothing is to be told.
async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match (guard.judge(request.uri(), request.headers()), guard.as_ref()) {
        (Verdict::Welcome, _) => next.run(request).await,
        (Verdict::Cookie, Guard::Token { token, .. }) => welcome(token),
        (Verdict::NoToken | Verdict::Cookie, _) => {
            let text = "This takes the token that `status --serve` printed when it started:\n\
                        open /?token=… once, or send the header Authorization: Bearer …\n";
            let mut response = text_of(StatusCode::UNAUTHORIZED, TEXT, text.to_owned());
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        (Verdict::WrongHost, _) => {
            let text = "This is served to this machine only: open it as http://localhost or http://127.0.0.1\n";
            text_of(StatusCode::MISDIRECTED_REQUEST, TEXT, text.to_owned())
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"));
    response
}

/// Puts the token into a cookie and goes on to the page. A page of its own and no redirect: the cookie is only sent where
/// the way did not begin at another site, such as a mail with the link in it.
fn welcome(token: &Secret) -> Response {
    let html = "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url=/\">\
                <title>patroni-stack</title><a href=\"/\">to the page</a>";
    let mut response = text_of(StatusCode::OK, HTML, html.to_owned());
    let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict", token.expose());
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

async fn whole(State(latest): State<Latest>) -> Response {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = answer(&latest, HTML, |seen| page(&seen.snapshot, &seen.findings, &nonce).ok()).await;
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn renewed(State(latest): State<Latest>) -> Response {
    answer(&latest, HTML, |seen| parts(&seen.snapshot, &seen.findings).ok()).await
}

async fn json(State(latest): State<Latest>) -> Response {
    let report = |seen: &Seen| {
        let report = Report { snapshot: &seen.snapshot, findings: &seen.findings };
        serde_json::to_string_pretty(&report).ok().map(|text| text + "\n")
    };
    answer(&latest, "application/json", report).await
}

async fn prometheus(State(latest): State<Latest>) -> Response {
    let text = |seen: &Seen| Some(metrics(&seen.snapshot, &seen.findings));
    answer(&latest, "text/plain; version=0.0.4; charset=utf-8", text).await
}

async fn answer(latest: &Latest, kind: &'static str, text: impl FnOnce(&Seen) -> Option<String>) -> Response {
    let seen = latest.get().await;
    match seen.and_then(|seen| text(&seen)) {
        Some(text) => text_of(StatusCode::OK, kind, text),
        None => text_of(StatusCode::SERVICE_UNAVAILABLE, TEXT, "There is nothing to show.\n".to_owned()),
    }
}

fn text_of(status: StatusCode, kind: &'static str, text: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    (status, headers, text).into_response()
}
