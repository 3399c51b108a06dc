//! Provider `path`: programs that the machine has, used only if their version fits.
//!
//! It must not change anything, and never trusts a program by its name alone where the table says
//! how to ask it.

use super::provider::{Done, Found, Offer, Provider, Session, Wanted};

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
                Some(path) => Offer::Has(Found { path, version: None }),
                None => Offer::no("not on PATH"),
            };
        };
        let Some(requires) = &spec.requires else { return Offer::Silent };
        let mut unfit = Vec::new();
        for path in session.find_all(wanted.name) {
            match session.version(&path, spec) {
                Ok((version, _)) if requires.matches(&version) => {
                    return Offer::Has(Found { path, version: Some(version) });
                }
                Ok((version, asked)) => {
                    let message = format!("{} is {version}, which doesn't fit {requires}", path.display());
                    log::debug!("{} isn't taken from PATH: {message}", wanted.name);
                    // Said once, and not again at each boot.
                    if asked {
                        session.reporter.note(format!("{message}: not used"));
                    }
                    unfit.push(message);
                }
                Err(reason) => unfit.push(reason),
            }
        }
        match unfit.is_empty() {
            true => Offer::no("not on PATH"),
            false => Offer::no(unfit.join("; ")),
        }
    }

    fn supply(&self, wanted: &[Wanted<'_>], _: &Session<'_>, done: &mut Done<'_>) {
        (0..wanted.len()).for_each(|place| done(place, Err("nothing can be put on PATH".to_owned())));
    }
}
