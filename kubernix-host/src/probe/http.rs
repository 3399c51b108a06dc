//! Probes a URL: a GET request must get a response with status 200.

use super::{Attempt, SHORT_INTERVAL, TLS_INTERVAL, never, not_yet};
use crate::api_client::{Failure, FailureKind, HttpClient};
use http_body_util::{BodyExt, Limited};
use hyper::{Request, StatusCode, Uri};
use kube::client::Body;

/// How much of a body is read, in bytes. The API server's list of checks has two thousand.
const MAX_BODY: usize = 64 * 1024;

/// How much of a body is shown, in characters.
const MAX_SHOWN: usize = 240;

/// Sends one request. Reads the whole body, so that the connection can be reused.
pub(super) async fn get(client: &HttpClient, url: &str, identity: &str) -> Attempt {
    let parsed = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let Some(uri) = parsed else { return Err(never(format!("`{url}` is not a http:// or https:// URL"))) };
    let pause = if uri.scheme_str() == Some("https") { TLS_INTERVAL } else { SHORT_INTERVAL };
    let request = Request::get(uri).header("user-agent", "kubernix").body(Body::empty());
    let request = request.map_err(|error| never(format!("can't send a request to `{url}`: {error}")))?;
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => {
            let failure = Failure::of_transport(url, &error);
            return match failure.kind {
                FailureKind::Permanent => Err(never(failure.text)),
                FailureKind::Refused => not_yet(failure.text, SHORT_INTERVAL),
                FailureKind::Busy => not_yet(failure.text, pause),
            };
        }
    };
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    if status == StatusCode::OK {
        return Ok(());
    }
    let message = body.map(|body| summarize(&String::from_utf8_lossy(&body.to_bytes()))).unwrap_or_default();
    let mut text = format!("{url} responds {status}");
    if !message.is_empty() {
        text = format!("{text}: {message}");
    }
    if status == StatusCode::UNAUTHORIZED {
        let sent = if identity.is_empty() { "none was sent".into() } else { format!("that of `{identity}` was sent") };
        text = format!("{text} (it requires a client certificate of a CA that it trusts; {sent})");
    }
    not_yet(text, pause)
}

/// Shortens a body to one line: the message of a Kubernetes status; the failed checks in a list of
/// checks (`[+]ping ok`, `[-]etcd failed: reason withheld`); else its first line.
fn summarize(body: &str) -> String {
    let message = serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|json| Some(json["message"].as_str()?.to_owned()));
    let failed = body.lines().filter_map(|line| line.strip_prefix("[-]")).collect::<Vec<_>>();
    let text = match message {
        Some(message) => message,
        None if !failed.is_empty() => failed.join(", "),
        None => body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned(),
    };
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::summarize;

    #[test]
    fn bodies_are_shortened_to_the_error() {
        assert_eq!(summarize(r#"{"kind":"Status","message":"Unauthorized","code":401}"#), "Unauthorized");
        let checks =
            "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]poststarthook/rbac failed: not finished\n";
        assert_eq!(summarize(checks), "etcd failed: reason withheld, poststarthook/rbac failed: not finished");
        assert_eq!(summarize("\n internal error\nmore"), "internal error");
        assert_eq!(summarize(""), "");
        assert_eq!(summarize(&"é".repeat(1000)), format!("{}...", "é".repeat(240)));
    }
}
