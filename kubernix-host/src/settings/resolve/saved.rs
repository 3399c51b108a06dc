//! Reads the settings of a cluster's last boot.

use super::super::{Defaults, Error, Origin, Partial};
use super::Resolver;
use crate::root_dir::{self, ClusterFile, Root, State};
use crate::text::Located;

impl Resolver {
    /// Reads the settings of the last boot, and the state that the cluster was created with, if the
    /// cluster exists.
    pub fn read_saved(&mut self, root: &Root, defaults: &Defaults) -> Result<Option<State>, Error> {
        let state = match root.open_existing() {
            Ok(state) => state,
            // The command that creates the cluster reports the error.
            Err(root_dir::Error::Missing { .. } | root_dir::Error::NotACluster { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let path = root.settings_file();
        let origin = Origin::Saved(path.clone());
        let (text, revision) = self.saved_text(root, &state, defaults)?;
        self.revision = revision;
        if let Some(text) = text {
            let parsed = Partial::from_toml(&path, &text);
            let mut saved = if revision.is_some() { parsed.map_err(with_recovery)? } else { parsed? };
            // The cluster's name is that of its directory. The file may have an earlier name.
            saved.name = None;
            saved.origins.values_mut().for_each(|place| *place = origin.clone());
            if saved.root.take().is_some() {
                let note = "`root` has no effect here: the cluster is in the directory of this file";
                self.notes.push(format!("{}: {note}", path.display()));
            }
            self.layers.saved = Some(saved.based_at(root.path(), defaults.home.as_deref())?);
        }
        Ok(Some(state))
    }

    /// The text of the settings, and the revision of the state that they belong to. They are those
    /// of `cluster.json`, unless the user has edited the view.
    fn saved_text(
        &mut self,
        root: &Root,
        state: &State,
        defaults: &Defaults,
    ) -> Result<(Option<String>, Option<u64>), Error> {
        let path = root.settings_file();
        let view = match std::fs::read(&path) {
            // A user writes text: another content is a damaged view.
            Ok(bytes) => String::from_utf8(bytes).ok(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => return Err(Error::Read { path, cause }),
        };
        let view = view.filter(|text| !text.trim().is_empty());
        match (ClusterFile::read(root), view) {
            (Ok(Some(state)), Some(view)) if !state.has_view(&view) => {
                self.notes.push(format!("{} was edited: its settings are used", path.display()));
                let committed = Partial::from_toml(&path, &state.settings)?;
                self.committed = Some(committed.based_at(root.path(), defaults.home.as_deref())?);
                Ok((Some(view), Some(state.revision)))
            }
            (Ok(Some(state)), Some(_)) => Ok((Some(state.settings), Some(state.revision))),
            (Ok(Some(state)), None) => {
                let note = "is missing, empty or not text: it is written again from cluster.json";
                self.notes.push(format!("{} {note}", path.display()));
                Ok((Some(state.settings), Some(state.revision)))
            }
            (Ok(None), Some(view)) => Ok((Some(view), None)),
            (Ok(None) | Err(root_dir::Error::Damaged { .. }), None) if self.fresh => Ok((None, None)),
            (Ok(None), None) if state.cidr.is_none() || state.removing => Ok((None, None)),
            (Ok(None), None) => Err(Error::Lost { path }),
            (Err(damaged @ root_dir::Error::Damaged { .. }), Some(view)) => {
                self.notes.push(format!("{damaged}: the settings of {} are used", path.display()));
                Ok((Some(view), None))
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

/// Adds the way out to a syntax error of the view: the settings in `cluster.json` are intact.
fn with_recovery(error: Error) -> Error {
    match error {
        Error::File(Located { path, line, column, reason }) => {
            let reason = format!("{reason}; correct it, or remove the file to use the settings of the last boot");
            Error::File(Located { path, line, column, reason })
        }
        error => error,
    }
}
