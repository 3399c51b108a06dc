//! The state of one [`ensure`](super::ensure): what it was told, what it will write, what it reports.

use super::check::Misfit;
use super::{Error, Past, Renewal};
use crate::root::Batch;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::time::SystemTime;

pub(super) struct Work<'a> {
    pub dir: &'a Path,
    pub now: SystemTime,
    past: &'a Past,
    renew: &'a BTreeSet<Renewal>,
    /// Nothing is written before all is decided, so that an error changes nothing.
    pub batch: Batch,
    pub reissued: Vec<String>,
}

impl<'a> Work<'a> {
    pub fn new(dir: &'a Path, past: &'a Past, renew: &'a BTreeSet<Renewal>, now: SystemTime) -> Self {
        Self { dir, now, past, renew, batch: Batch::default(), reissued: Vec::new() }
    }

    /// Whether a new key of this kind was asked for.
    pub fn is_renewed(&self, renewal: Renewal) -> bool {
        self.renew.contains(&renewal)
    }

    /// Whether a cluster that was booted before had this node, or any for `None`.
    pub fn had(&self, node: Option<&str>) -> bool {
        let past = self.past;
        (past.booted || past.has_data) && node.is_none_or(|node| past.nodes.contains(node))
    }

    /// Reports something that is made anew.
    pub fn report(&mut self, name: &str, reason: impl Display) {
        self.reissued.push(format!("{name}: {reason}"));
    }

    /// Decides on a key that data may depend on, and is missing or doesn't fit: returns where a new one
    /// may be made, which is reported then.
    pub fn replace(&mut self, renewal: Renewal, path: &Path, name: &str, misfit: &Misfit) -> Result<(), Error> {
        if self.is_renewed(renewal) {
            self.report(name, format!("{misfit}, and {}", renewal.asked()));
            return Ok(());
        }
        self.believe_clock(path, misfit, Some(renewal))?;
        // A CA that ends soon is replaced while it is still valid: its end would come for sure.
        if self.past.has_data && !matches!(misfit, Misfit::Expires(_)) {
            return Err(Error::Lost { path: path.to_owned(), reason: misfit.to_string(), renewal });
        }
        // The first boot makes all of them. Only a file that was there already is news.
        if self.had(None) || *misfit != Misfit::Absent {
            self.report(name, misfit);
        }
        Ok(())
    }

    /// A certificate of the future says that the clock is wrong, and not that the certificate is.
    pub fn believe_clock(&self, path: &Path, misfit: &Misfit, renewal: Option<Renewal>) -> Result<(), Error> {
        let Misfit::NotYet(start) = misfit else { return Ok(()) };
        let way_out = match renewal {
            Some(renewal) => format!("`up --renew {renewal}` makes a new one"),
            None => "remove it, and `up` makes a new one".to_owned(),
        };
        // Whole seconds, as in certificates.
        let now = Timestamp::try_from(self.now).map(|now| now.as_second()).unwrap_or_default();
        let now = Timestamp::from_second(now).unwrap_or_default();
        Err(Error::Clock { path: path.to_owned(), now, start: *start, way_out })
    }
}
