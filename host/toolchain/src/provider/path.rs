//! Provider `path`: existing programs on PATH, used only if their version fits.
//!
//! It must not change anything. Where the table says how to ask a program for its version, the name
//! alone isn't enough.

use crate::provider::{Found, Offer, Provider, Session, Wanted};

/// Programs on PATH.
pub struct OnPath;

impl Provider for OnPath {
    fn name(&self) -> &'static str {
        "path"
    }

    fn only_finds(&self) -> bool {
        true
    }

    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer {
        let Some(spec) = wanted.spec else {
            return match session.find(wanted.name) {
                Some(path) => Offer::Found(Found { path, version: None }),
                None => Offer::unavailable("not on PATH"),
            };
        };
        let Some(requires) = &spec.requires else { return Offer::NotApplicable };
        let mut rejections = Vec::new();
        for path in session.find_all(wanted.name) {
            match session.version(&path, spec) {
                Ok((version, _)) if requires.matches(&version) => {
                    return Offer::Found(Found { path, version: Some(version) });
                }
                Ok((version, was_run)) => {
                    let message = format!("{} is {version}, which doesn't fit {requires}", path.display());
                    log::debug!("{} isn't used from PATH: {message}", wanted.name);
                    // Noted once, not at each boot.
                    if was_run {
                        session.reporter.note(format!("{message}: not used"));
                    }
                    rejections.push(message);
                }
                Err(error) => rejections.push(error.to_string()),
            }
        }
        if rejections.is_empty() {
            Offer::unavailable("not on PATH")
        } else {
            Offer::unavailable(rejections.join("; "))
        }
    }
}
