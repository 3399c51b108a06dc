//! A GET that has to be answered by 200.

use super::{Attempt, SHORT_PAUSE, TLS_PAUSE, never, not_yet};
use crate::api::{Failure, FailureKind, HttpClient};
use http_body_util::{BodyExt, Limited};
use hyper::{Request, StatusCode, Uri};
use kube::client::Body;

/// The most of a body that is read, in bytes. The API server's list of checks has two thousand.
const MAX_BODY: usize = 64 * 1024;

/// The most of a body that is shown, in characters.
const MAX_SHOWN: usize = 240;

/// Asks a URL, once. The whole body is read, so that the connection serves the next question too.
pub(super) async fn get(client: &HttpClient, url: &str, identity: &str) -> Attempt {
    let parsed = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let Some(uri) = parsed else { return Err(never(format!("`{url}` is not a http:// or https:// URL"))) };
    let pause = if uri.scheme_str() == Some("https") { TLS_PAUSE } else { SHORT_PAUSE };
    let request = Request::get(uri).header("user-agent", "kubernix").body(Body::empty());
    let request = request.map_err(|error| never(format!("`{url}` can't be asked: {error}")))?;
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => {
            let failure = Failure::of_transport(url, &error);
            return match failure.kind {
                FailureKind::Hopeless => Err(never(failure.text)),
                FailureKind::Refused => not_yet(failure.text, SHORT_PAUSE),
                FailureKind::Busy => not_yet(failure.text, pause),
            };
        }
    };
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    if status == StatusCode::OK {
        return Ok(());
    }
    let said = body.map(|body| gist(&String::from_utf8_lossy(&body.to_bytes()))).unwrap_or_default();
    let mut text = format!("{url} answers {status}");
    if !said.is_empty() {
        text = format!("{text}: {said}");
    }
    if status == StatusCode::UNAUTHORIZED {
        let shown =
            if identity.is_empty() { "none was shown".into() } else { format!("that of `{identity}` was shown") };
        text = format!("{text} (it wants a client certificate of a CA that it knows; {shown})");
    }
    not_yet(text, pause)
}

/// What a body says, in a line: the message of a Kubernetes status; the checks that fail, of a list of checks (`[+]ping ok`,
/// `[-]etcd failed: reason withheld`); else its first line.
fn gist(body: &str) -> String {
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
    use super::gist;

    #[test]
    fn bodies_are_boiled_down_to_what_is_wrong() {
        assert_eq!(gist(r#"{"kind":"Status","message":"Unauthorized","code":401}"#), "Unauthorized");
        let checks =
            "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]poststarthook/rbac failed: not finished\n";
        assert_eq!(gist(checks), "etcd failed: reason withheld, poststarthook/rbac failed: not finished");
        assert_eq!(gist("\n internal error\nmore"), "internal error");
        assert_eq!(gist(""), "");
        assert_eq!(gist(&"é".repeat(1000)), format!("{}...", "é".repeat(240)));
    }
}
