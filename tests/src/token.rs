//! Creates and reviews tokens of service accounts.

use crate::cluster::Cluster;
use serde_json::json;
use std::fs;

/// Creates a token of the service account `default`, valid for an hour.
///
/// # Panics
/// The cluster rejects the request.
#[track_caller]
pub fn mint(cluster: &Cluster) -> String {
    cluster.kubectl(&["create", "token", "default", "--duration=1h"]).ok().stdout.trim().to_owned()
}

/// The user of a token in a cluster; `None` if the cluster rejects the token.
///
/// # Panics
/// The cluster doesn't respond.
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
