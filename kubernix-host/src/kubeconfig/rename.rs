//! Renames a cluster's entries in the user's kubeconfig. Fields that the user added stay.
//!
//! A rename is recorded before it begins. If it is interrupted, the next command that reads the
//! entries completes it.

use super::merge::{Files, Plan, change, reject_foreign};
use super::model::Kind;
use super::text::Edit;
use super::{Access, ConfigPaths, Error};
use std::path::PathBuf;

/// Records that a cluster is about to get another name. Changes no kubeconfig.
///
/// # Errors
/// A file that has entries of the cluster already has other entries of the new name.
pub fn begin_rename(access: &Access, cluster: &str, paths: &ConfigPaths) -> Result<(), Error> {
    if access.files().next().is_none() {
        return Ok(());
    }
    let renamed = access.with_name(Access::name_of(cluster));
    reject_foreign(&renamed, &Files::read(access.files().chain(paths.files()), Some(&renamed.name))?)?;
    access.record_earlier_name()
}

/// Renames entries that still have an earlier name of the cluster, in all files. Returns the
/// changed files.
///
/// # Errors
/// As [`merge`](super::merge()).
pub fn finish_rename(access: &Access, paths: &ConfigPaths) -> Result<Vec<PathBuf>, Error> {
    let Some(old) = access.earlier_name().map(str::to_owned) else { return Ok(Vec::new()) };
    let earlier = access.with_name(old.clone());
    let new = &access.name;
    let plan = |files: &Files| {
        reject_foreign(access, files)?;
        let mut plan = Plan::new();
        for (path, config, _) in &files.0 {
            let is_ours = |kind: &Kind| {
                config.fields(*kind, &old).is_some_and(|fields| files.is_ours(&earlier, path, *kind, &fields))
            };
            let ours: Vec<Kind> = Kind::ALL.into_iter().filter(is_ours).collect();
            let renamed = ours.iter().map(|kind| Edit::Rename { kind: *kind, name: old.clone(), to: new.clone() });
            let mut edits: Vec<Edit> = renamed.collect();
            // The user's own contexts of this cluster refer to the renamed entries.
            for context in config.names(Kind::Context) {
                let fields = config.fields(Kind::Context, context).unwrap_or_default();
                let parts = [(Kind::Cluster, "cluster", fields.cluster), (Kind::User, "user", fields.user)];
                let moved: Vec<(&'static str, String)> = parts
                    .into_iter()
                    .filter(|(kind, _, name)| ours.contains(kind) && name.as_ref() == Some(&old))
                    .map(|(_, key, _)| (key, new.clone()))
                    .collect();
                if !moved.is_empty() {
                    let is_renamed = context == old && ours.contains(&Kind::Context);
                    let name = if is_renamed { new.clone() } else { context.to_owned() };
                    edits.push(Edit::Set { kind: Kind::Context, name, fields: moved });
                }
            }
            if ours.contains(&Kind::Context) && config.current_context.as_ref() == Some(&old) {
                edits.push(Edit::Current(new.clone()));
            }
            if !edits.is_empty() {
                plan.insert(path.clone(), edits);
            }
        }
        Ok(plan)
    };
    let changed =
        if old == *new { Vec::new() } else { change(access, access.files().chain(paths.files()), Some(&old), plan)?.1 };
    access.forget_earlier_name()?;
    Ok(changed)
}
