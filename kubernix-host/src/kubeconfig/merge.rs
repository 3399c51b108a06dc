//! Adds, updates and removes a cluster's entries in the user's kubeconfig.

use super::lock::Lock;
use super::model::{Config, Fields, Kind};
use super::text::{Edit, edited};
use super::{Access, ConfigPaths, Error, file};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for other programs that hold the locks.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The result of a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The context's name.
    pub context: String,
    /// The file that has it.
    pub file: PathBuf,
    /// Whether any file was changed.
    pub changed: bool,
    /// The current context before the merge, if it was another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// The files of a kubeconfig: path, content and text.
pub(super) struct Files(pub(super) Vec<(PathBuf, Config, String)>);

/// The edits of each file.
pub(super) type Plan = BTreeMap<PathBuf, Vec<Edit>>;

impl Files {
    /// Reads the files that exist. With a `word`, only files that contain it are parsed.
    pub(super) fn read<'p>(paths: impl IntoIterator<Item = &'p PathBuf>, word: Option<&str>) -> Result<Self, Error> {
        let mut files: Vec<(PathBuf, Config, String)> = Vec::new();
        for path in paths {
            let text = match file::read(path) {
                Err(Error::NotAFile { .. }) if word.is_some() => None,
                text => text?,
            };
            let Some(text) = text.filter(|text| word.is_none_or(|word| text.contains(word))) else { continue };
            if files.iter().all(|(known, ..)| known != path) {
                files.push((path.clone(), Config::of(path, &text)?, text));
            }
        }
        Ok(Self(files))
    }

    /// The entry that counts, and its file: the first file that has it.
    fn first(&self, kind: Kind, name: &str) -> Option<(&Path, Fields)> {
        self.0.iter().find_map(|(path, config, _)| Some((path.as_path(), config.fields(kind, name)?)))
    }

    /// The current context.
    fn current(&self) -> Option<&str> {
        self.0.iter().filter_map(|(_, config, _)| config.current_context.as_deref()).find(|name| !name.is_empty())
    }

    /// Whether an entry belongs to this cluster. Clusters that were restored from the same snapshot
    /// have the same certificates. So the cluster must also have been merged into this file, or
    /// have the server address of the entry.
    pub(super) fn is_ours(&self, access: &Access, path: &Path, kind: Kind, fields: &Fields) -> bool {
        let server = access.credentials().ok().map(|credentials| &credentials.server);
        let has_server =
            || self.first(Kind::Cluster, &access.name).is_none_or(|(_, cluster)| cluster.server.as_ref() == server);
        access.is_ours(kind, fields) && (access.is_in(path) || has_server())
    }

    fn text(&self, path: &Path) -> &str {
        self.0.iter().find(|(known, ..)| known == path).map_or("", |(.., text)| text.as_str())
    }
}

/// Checks whether a merge would be rejected. Writes nothing.
///
/// # Errors
/// As [`merge`].
pub fn check(access: &Access, paths: &ConfigPaths) -> Result<(), Error> {
    reject_foreign(access, &Files::read(paths.files(), None)?)
}

/// Returns an error if an entry with the cluster's name belongs to something else.
pub(super) fn reject_foreign(access: &Access, files: &Files) -> Result<(), Error> {
    for kind in Kind::ALL {
        if let Some((path, fields)) = files.first(kind, &access.name)
            && !files.is_ours(access, path, kind, &fields)
        {
            return Err(Error::Foreign { path: path.to_owned(), kind: kind.key(), name: access.name.clone() });
        }
    }
    Ok(())
}

/// Adds a cluster's context to the user's kubeconfig, or updates it, and makes it the current one.
/// As with kubectl, an existing entry is changed in the file that has it, and a new one is added to
/// [`ConfigPaths::default_file`].
///
/// # Errors
/// A file isn't a kubeconfig, an entry of the same name doesn't belong to the cluster, or a file
/// can't be written. Nothing was changed, unless writing failed after the first of several files.
pub fn merge(access: &Access, paths: &ConfigPaths) -> Result<Merged, Error> {
    let default = paths.default_file().to_owned();
    file::make_directory(&default)?;
    let mut before = None;
    let plan = |files: &Files| {
        reject_foreign(access, files)?;
        before = files.current().filter(|name| *name != access.name).map(str::to_owned);
        let mut plan = Plan::new();
        for kind in Kind::ALL {
            let fields = access.fields(kind)?;
            let found = files.first(kind, &access.name);
            let (path, has) = found.map_or((default.as_path(), None), |(path, has)| (path, Some(has)));
            if !has.is_some_and(|has| has_fields(&has, &fields)) {
                let name = access.name.clone();
                plan.entry(path.to_owned()).or_default().push(Edit::Set { kind, name, fields });
            }
        }
        if files.current() != Some(&access.name) {
            plan.entry(default.clone()).or_default().push(Edit::Current(access.name.clone()));
        }
        Ok(plan)
    };
    let has_context = |files: &Files| files.first(Kind::Context, &access.name).map(|(path, _)| path.to_owned());
    let (files, changed) = change(access, paths.files(), None, plan)?;
    let file = has_context(&files).unwrap_or(default);
    if changed.is_empty() {
        // Another program may have merged the entries: record the file, so that `remove` finds it.
        access.record_files([file.clone()])?;
    }
    Ok(Merged { context: access.name.clone(), file, changed: !changed.is_empty(), before })
}

/// Whether an entry has these fields.
fn has_fields(has: &Fields, fields: &[(&'static str, String)]) -> bool {
    let of = |key: &str| match key {
        "server" => &has.server,
        "certificate-authority-data" => &has.certificate_authority_data,
        "client-certificate-data" => &has.client_certificate_data,
        "client-key-data" => &has.client_key_data,
        "cluster" => &has.cluster,
        "user" => &has.user,
        _ => &None,
    };
    fields.iter().all(|(key, text)| of(key).as_ref() == Some(text))
}

/// Updates the cluster's entries in all files that have them. Adds none. Returns the changed files.
///
/// # Errors
/// As [`merge`].
pub fn refresh(access: &Access, paths: &ConfigPaths) -> Result<Vec<PathBuf>, Error> {
    let plan = |files: &Files| {
        let mut plan = Plan::new();
        for (path, config, _) in &files.0 {
            for kind in [Kind::Cluster, Kind::User] {
                let (Some(has), fields) = (config.fields(kind, &access.name), access.fields(kind)?) else { continue };
                if files.is_ours(access, path, kind, &has) && !has_fields(&has, &fields) {
                    let name = access.name.clone();
                    plan.entry(path.clone()).or_default().push(Edit::Set { kind, name, fields });
                }
            }
        }
        Ok(plan)
    };
    change(access, access.files().chain(paths.files()), Some(&access.name), plan).map(|(_, changed)| changed)
}

/// Removes a cluster's entries from the user's kubeconfig and from all other files that they were
/// merged into. If the cluster's context was the current one, no context is afterwards. Entries of
/// the same name that don't belong to the cluster stay. Returns the changed files.
///
/// # Errors
/// A file isn't a kubeconfig, or can't be written.
pub fn remove(access: &Access, paths: &ConfigPaths) -> Result<Vec<PathBuf>, Error> {
    let plan = |files: &Files| {
        let has = |config: &Config, kind| config.fields(kind, &access.name);
        let is_ours = |path: &Path, kind: Kind, fields: &Fields| files.is_ours(access, path, kind, fields);
        let foreign = |kind| {
            files.0.iter().any(|(path, config, _)| has(config, kind).is_some_and(|it| !is_ours(path, kind, &it)))
        };
        // If a cluster or user of our name belongs to something else, so does the context.
        let keeps_contexts = Kind::ALL.into_iter().any(foreign);
        let mut plan = Plan::new();
        for (path, config, _) in &files.0 {
            let is_removed = |kind: &Kind| {
                let ours = has(config, *kind).is_some_and(|fields| is_ours(path, *kind, &fields));
                ours && !(keeps_contexts && *kind == Kind::Context)
            };
            let remove = |kind| Edit::Remove { kind, name: access.name.clone() };
            let mut edits: Vec<Edit> = Kind::ALL.into_iter().filter(is_removed).map(remove).collect();
            if !keeps_contexts && config.current_context.as_ref() == Some(&access.name) {
                edits.push(Edit::Current(String::new()));
            }
            if !edits.is_empty() {
                plan.insert(path.clone(), edits);
            }
        }
        Ok(plan)
    };
    let (_, changed) = change(access, access.files().chain(paths.files()), Some(&access.name), plan)?;
    access.forget_files()?;
    Ok(changed)
}

/// Reads the files, plans edits of them, and applies the edits under the files' locks. An empty
/// plan takes no lock. Returns the files as they were before the edits, and the paths of the
/// changed ones.
pub(super) fn change<'p>(
    access: &Access,
    paths: impl IntoIterator<Item = &'p PathBuf>,
    word: Option<&str>,
    mut plan: impl FnMut(&Files) -> Result<Plan, Error>,
) -> Result<(Files, Vec<PathBuf>), Error> {
    let paths: Vec<&PathBuf> = paths.into_iter().collect();
    let mut lock = None;
    let mut locked: Vec<PathBuf> = Vec::new();
    loop {
        let files = Files::read(paths.iter().copied(), word)?;
        let edits = plan(&files)?;
        if !edits.keys().all(|path| locked.contains(path)) {
            // Read the files again under the lock: another program may have changed them meanwhile.
            drop(lock.take());
            locked = edits.keys().cloned().collect();
            lock = Some(Lock::take(&locked, LOCK_TIMEOUT)?);
            continue;
        }
        let new: Vec<(PathBuf, String)> = edits
            .iter()
            .map(|(path, edits)| Ok((path.clone(), edited(path, &access.own, files.text(path), edits)?)))
            .collect::<Result<_, Error>>()?;
        let adds = |edits: &Vec<Edit>| edits.iter().any(|edit| matches!(edit, Edit::Set { .. }));
        let with_ours: Vec<PathBuf> =
            edits.iter().filter(|(_, edits)| adds(edits)).map(|(path, _)| path.clone()).collect();
        if !with_ours.is_empty() {
            access.record_files(with_ours)?;
        }
        for (path, text) in &new {
            file::write(path, text)?;
        }
        drop(lock);
        return Ok((files, edits.into_keys().collect()));
    }
}
