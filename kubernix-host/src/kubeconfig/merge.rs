//! A cluster's entries in the user's kubeconfig: put in, kept true, taken out.

use super::lock::Lock;
use super::model::{Config, Fields, Kind};
use super::text::{Edit, edited};
use super::{Access, Error, Places, file};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long others may take that change the same files.
const PATIENCE: Duration = Duration::from_secs(2);

/// What there is of a cluster in the user's kubeconfig now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The context's name.
    pub context: String,
    /// The file that has it.
    pub file: PathBuf,
    /// Whether any file had to be changed.
    pub changed: bool,
    /// The context that counted before, if another did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// The files of a kubeconfig as they are now.
pub(super) struct Files(pub(super) Vec<(PathBuf, Config, String)>);

/// What is to be done to which file.
pub(super) type Plan = BTreeMap<PathBuf, Vec<Edit>>;

impl Files {
    /// Those that exist. Where a word is given, only what says it is looked at.
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

    /// The entry that counts: that of the first file which has it.
    fn first(&self, kind: Kind, name: &str) -> Option<(&Path, Fields)> {
        self.0.iter().find_map(|(path, config, _)| Some((path.as_path(), config.fields(kind, name)?)))
    }

    /// The context that counts.
    fn current(&self) -> Option<&str> {
        self.0.iter().filter_map(|(_, config, _)| config.current_context.as_deref()).find(|name| !name.is_empty())
    }

    /// Whether an entry is of this cluster. Clusters that were made of one snapshot have the same certificates: then the one is
    /// meant that is reached so, or was merged into this file.
    pub(super) fn is_ours(&self, access: &Access, path: &Path, kind: Kind, fields: &Fields) -> bool {
        let server = access.says().ok().map(|says| &says.server);
        let leads_here =
            || self.first(Kind::Cluster, &access.name).is_none_or(|(_, cluster)| cluster.server.as_ref() == server);
        access.is_ours(kind, fields) && (access.is_in(path) || leads_here())
    }

    fn text(&self, path: &Path) -> &str {
        self.0.iter().find(|(known, ..)| known == path).map_or("", |(.., text)| text.as_str())
    }
}

/// Looks whether a merge would be refused; writes nothing.
///
/// # Errors
/// As [`merge`].
pub fn check(access: &Access, places: &Places) -> Result<(), Error> {
    foreign(access, &Files::read(places.files(), None)?)
}

/// Whether somebody else's entry has one of our names.
pub(super) fn foreign(access: &Access, files: &Files) -> Result<(), Error> {
    for kind in Kind::ALL {
        if let Some((path, fields)) = files.first(kind, &access.name)
            && !files.is_ours(access, path, kind, &fields)
        {
            return Err(Error::Foreign { path: path.to_owned(), kind: kind.key(), name: access.name.clone() });
        }
    }
    Ok(())
}

/// Puts a cluster's context into the user's kubeconfig, where it isn't yet, and makes it the current one. As kubectl does it: an
/// entry is changed in the file that has it, a new one comes into [`Places::default_file`].
///
/// # Errors
/// A file isn't a kubeconfig, somebody else's entry has the name, or it can't be written. Nothing is changed then, unless the
/// disk refuses the second of several files.
pub fn merge(access: &Access, places: &Places) -> Result<Merged, Error> {
    let default = places.default_file().to_owned();
    file::make_directory(&default)?;
    let mut before = None;
    let plan = |files: &Files| {
        foreign(access, files)?;
        before = files.current().filter(|name| *name != access.name).map(str::to_owned);
        let mut plan = Plan::new();
        for kind in Kind::ALL {
            let fields = access.fields(kind)?;
            let found = files.first(kind, &access.name);
            let (path, has) = found.map_or((default.as_path(), None), |(path, has)| (path, Some(has)));
            if !has.is_some_and(|has| says(&has, &fields)) {
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
    let (files, changed) = change(access, places.files(), None, plan)?;
    let file = has_context(&files).unwrap_or(default);
    if changed.is_empty() {
        // Also of what somebody else merged: it is to be found again.
        access.note([file.clone()])?;
    }
    Ok(Merged { context: access.name.clone(), file, changed: !changed.is_empty(), before })
}

/// Whether an entry has these fields.
fn says(has: &Fields, fields: &[(&'static str, String)]) -> bool {
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

/// Brings the entries that are there, wherever they are, to what is true now. Returns the files that had to be changed.
///
/// # Errors
/// As [`merge`].
pub fn refresh(access: &Access, places: &Places) -> Result<Vec<PathBuf>, Error> {
    let plan = |files: &Files| {
        let mut plan = Plan::new();
        for (path, config, _) in &files.0 {
            for kind in [Kind::Cluster, Kind::User] {
                let (Some(has), fields) = (config.fields(kind, &access.name), access.fields(kind)?) else { continue };
                if files.is_ours(access, path, kind, &has) && !says(&has, &fields) {
                    let name = access.name.clone();
                    plan.entry(path.clone()).or_default().push(Edit::Set { kind, name, fields });
                }
            }
        }
        Ok(plan)
    };
    change(access, access.files().chain(places.files()), Some(&access.name), plan).map(|(_, changed)| changed)
}

/// Takes a cluster's entries out of the user's kubeconfig, and out of every other that it was merged into. No context is the
/// current one then, if it was. Returns the files that had to be changed.
///
/// # Errors
/// As [`merge`]. What is somebody else's is none: it stays.
pub fn remove(access: &Access, places: &Places) -> Result<Vec<PathBuf>, Error> {
    let plan = |files: &Files| {
        let has = |config: &Config, kind| config.fields(kind, &access.name);
        let is_ours = |path: &Path, kind: Kind, fields: &Fields| files.is_ours(access, path, kind, fields);
        let foreign = |kind| {
            files.0.iter().any(|(path, config, _)| has(config, kind).is_some_and(|it| !is_ours(path, kind, &it)))
        };
        // Of somebody else's cluster or user by our name the context is theirs as well.
        let leaves_contexts = Kind::ALL.into_iter().any(foreign);
        let mut plan = Plan::new();
        for (path, config, _) in &files.0 {
            let goes = |kind: &Kind| {
                let ours = has(config, *kind).is_some_and(|fields| is_ours(path, *kind, &fields));
                ours && !(leaves_contexts && *kind == Kind::Context)
            };
            let remove = |kind| Edit::Remove { kind, name: access.name.clone() };
            let mut edits: Vec<Edit> = Kind::ALL.into_iter().filter(goes).map(remove).collect();
            if !leaves_contexts && config.current_context.as_ref() == Some(&access.name) {
                edits.push(Edit::Current(String::new()));
            }
            if !edits.is_empty() {
                plan.insert(path.clone(), edits);
            }
        }
        Ok(plan)
    };
    let (_, changed) = change(access, access.files().chain(places.files()), Some(&access.name), plan)?;
    access.forget()?;
    Ok(changed)
}

/// Carries out what a plan says of the files as they are, under their locks. A plan for nothing locks nothing. Returns the files
/// as they were last, and which were changed.
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
            // Somebody may have changed them since they were read.
            drop(lock.take());
            locked = edits.keys().cloned().collect();
            lock = Some(Lock::take(&locked, PATIENCE)?);
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
            access.note(with_ours)?;
        }
        for (path, text) in &new {
            file::write(path, text)?;
        }
        drop(lock);
        return Ok((files, edits.into_keys().collect()));
    }
}
