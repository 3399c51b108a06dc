//! Checks of a running role, through its endpoint.
//!
//! They change the state behind the endpoint and restore it. This module must not know which
//! component fills the role, or how it was started.

mod call;
mod cri;
mod cri_messages;
mod datastore;
mod etcd_messages;

use crate::kit::{CheckResult, Outcome};
use kubernix_core::roles;
use std::future::Future;
use std::time::Duration;

/// The time limit of one check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// A role's endpoint and how to connect to it.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The role's endpoint: `https://IP:PORT` or `unix://PATH`.
    pub url: String,
    /// The CA that signed the server's certificate, PEM. For `https`.
    pub ca: String,
    /// The client's certificate, PEM.
    pub cert: String,
    /// Its key, PEM.
    pub key: String,
    /// An image in the runtime's store whose program runs until it is stopped, such as the pause
    /// image. For `cri`.
    pub image: String,
}

/// The IDs of a role's checks, in order; empty for roles without checks.
pub fn checks(role: &str) -> &'static [&'static str] {
    match role {
        roles::CRI => &cri::IDS,
        roles::DATASTORE => &datastore::IDS,
        _ => &[],
    }
}

/// Runs the checks of a role; none for roles without checks. Blocks for a minute per check at most.
/// A check that depends on a failed one is skipped. Must not be called inside an asynchronous
/// runtime.
pub fn check(role: &str, target: &Target) -> Vec<CheckResult> {
    let ids = checks(role);
    if ids.is_empty() {
        return Vec::new();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(ids, Vec::new(), Err(format!("can't start: {error}"))),
    };
    runtime.block_on(async {
        let mut passed = Vec::new();
        let result = match role {
            roles::CRI => cri::run(target, &mut passed).await,
            _ => datastore::run(target, &mut passed).await,
        };
        end(ids, passed, result)
    })
}

/// The result of a role's checks. The error belongs to the check after the last that passed.
type Result<T = (), E = String> = std::result::Result<T, E>;

/// Runs one check, and records it if it passes.
async fn step<T>(passed: &mut Vec<&'static str>, id: &'static str, f: impl Future<Output = Result<T>>) -> Result<T> {
    let value =
        tokio::time::timeout(CHECK_TIMEOUT, f).await.map_err(|_| format!("not done within {CHECK_TIMEOUT:?}"))??;
    passed.push(id);
    Ok(value)
}

/// The results of all checks. The check after the last that passed is the failed one.
fn end(ids: &[&'static str], passed: Vec<&'static str>, result: Result) -> Vec<CheckResult> {
    let mut why = result.err();
    let outcome = |id: &&'static str| {
        if passed.contains(id) {
            return Outcome::Passed;
        }
        match why.take() {
            Some(why) => Outcome::Failed { why },
            None => Outcome::Skipped { why: "one before it failed".into() },
        }
    };
    let outcomes: Vec<_> = ids.iter().map(outcome).collect();
    ids.iter().zip(outcomes).map(|(id, outcome)| CheckResult { id, outcome }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_endpoint_fails_the_first_check_and_skips_the_rest() {
        let dir = std::env::temp_dir();
        let nowhere = Target { url: format!("unix://{}/kubernix-no-such.sock", dir.display()), ..Target::default() };
        for role in [roles::CRI, roles::DATASTORE] {
            let results = check(role, &nowhere);
            assert_eq!(results.iter().map(|result| result.id).collect::<Vec<_>>(), checks(role));
            assert!(matches!(results[0].outcome, Outcome::Failed { .. }), "{results:?}");
            assert!(results[1..].iter().all(|result| matches!(result.outcome, Outcome::Skipped { .. })), "{results:?}");
        }
        assert_eq!(check("dns", &nowhere), []);
    }
}
