//! The state of one call of [`ensure`](super::ensure): its arguments, the files to write, the
//! report.

use super::check::Misfit;
use super::{Error, History, Renewal};
use crate::root_dir::Batch;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::time::SystemTime;

pub(super) struct Work<'a> {
    pub dir: &'a Path,
    pub now: SystemTime,
    history: &'a History,
    renew: &'a BTreeSet<Renewal>,
    /// All files are written together at the end, so that an error changes nothing.
    pub batch: Batch,
    pub reissued: Vec<String>,
}

impl<'a> Work<'a> {
    pub fn new(dir: &'a Path, history: &'a History, renew: &'a BTreeSet<Renewal>, now: SystemTime) -> Self {
        Self { dir, now, history, renew, batch: Batch::default(), reissued: Vec::new() }
    }

    /// Whether a new key of this kind was requested.
    pub fn is_renewed(&self, renewal: Renewal) -> bool {
        self.renew.contains(&renewal)
    }

    /// Whether the cluster was booted before, and had this node. `None`: whatever its nodes were.
    pub fn had(&self, node: Option<&str>) -> bool {
        let history = self.history;
        (history.booted || history.has_data) && node.is_none_or(|node| history.nodes.contains(node))
    }

    /// Reports a certificate or key that is replaced.
    pub fn report(&mut self, name: &str, reason: impl Display) {
        self.reissued.push(format!("{name}: {reason}"));
    }

    /// Permits and reports the replacement of a key that is missing or doesn't fit.
    ///
    /// # Errors
    /// Data depends on the key, and no new one was requested.
    pub fn replace(&mut self, renewal: Renewal, path: &Path, name: &str, misfit: &Misfit) -> Result<(), Error> {
        if self.is_renewed(renewal) {
            self.report(name, format!("{misfit}, and {}", renewal.asked()));
            return Ok(());
        }
        self.check_clock(path, misfit, Some(renewal))?;
        // A CA that expires soon is replaced while it is still valid: it would expire in any case.
        if self.history.has_data && !matches!(misfit, Misfit::Expires(_)) {
            return Err(Error::Lost { path: path.to_owned(), reason: misfit.to_string(), renewal });
        }
        // The first boot creates all keys, which isn't reported. A file that existed already is.
        if self.had(None) || *misfit != Misfit::Absent {
            self.report(name, misfit);
        }
        Ok(())
    }

    /// Returns an error for a certificate that isn't valid yet: probably the clock is wrong, and
    /// not the certificate.
    pub fn check_clock(&self, path: &Path, misfit: &Misfit, renewal: Option<Renewal>) -> Result<(), Error> {
        let Misfit::NotYet(start) = misfit else { return Ok(()) };
        let way_out = match renewal {
            Some(renewal) => format!("`up --renew {renewal}` creates a new one"),
            None => "remove it, and `up` creates a new one".to_owned(),
        };
        // Certificates have whole seconds.
        let now = Timestamp::try_from(self.now).map(|now| now.as_second()).unwrap_or_default();
        let now = Timestamp::from_second(now).unwrap_or_default();
        Err(Error::Clock { path: path.to_owned(), now, start: *start, way_out })
    }
}
