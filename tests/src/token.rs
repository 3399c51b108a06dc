//! Tokens of service accounts: minted, and held against a cluster that may or may not know them.

use crate::cluster::Cluster;
use serde_json::json;
use std::fs;

/// A token of the service account `default`, good for an hour.
///
/// # Panics
/// The cluster refuses.
#[track_caller]
pub fn mint(cluster: &Cluster) -> String {
    cluster.kubectl(&["create", "token", "default", "--duration=1h"]).ok().stdout.trim().to_owned()
}

/// Whose token this is, as a cluster sees it; `None` where it knows of no such one.
///
/// # Panics
/// The cluster doesn't answer.
#[track_caller]
pub fn owner(cluster: &Cluster, token: &str) -> Option<String> {
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": token },
    });
    let file = cluster.base().join("review.json");
    fs::write(&file, review.to_string()).expect("the base can be written");
    let answer = cluster.kubectl(&["create", "--output", "json", "--filename", &file.to_string_lossy()]).ok().json();
    let status = &answer["status"];
    (status["authenticated"] == true).then(|| status["user"]["username"].as_str().unwrap_or_default().to_owned())
}
