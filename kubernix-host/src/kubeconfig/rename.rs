//! A cluster's entries in the user's kubeconfig under the cluster's new name. What users added to them stays.
//!
//! A rename is noted before it begins, so that one that breaks off is completed by the next command that looks at the entries.

use super::merge::{Files, Plan, change, foreign};
use super::model::Kind;
use super::text::Edit;
use super::{Access, Error, Places};
use std::path::PathBuf;

/// Notes that a cluster is about to get another name. Writes nothing else.
///
/// # Errors
/// Where entries of the cluster are, others have that name already.
pub fn begin_rename(access: &Access, cluster: &str, places: &Places) -> Result<(), Error> {
    if access.files().next().is_none() {
        return Ok(());
    }
    let renamed = access.named(Access::name_of(cluster));
    foreign(&renamed, &Files::read(access.files().chain(places.files()), Some(&renamed.name))?)?;
    access.note_name()
}

/// Gives entries that have an earlier name of the cluster its present one, wherever they are. Returns the files that were changed.
///
/// # Errors
/// As [`merge`](super::merge()).
pub fn finish_rename(access: &Access, places: &Places) -> Result<Vec<PathBuf>, Error> {
    let Some(old) = access.earlier_name().map(str::to_owned) else { return Ok(Vec::new()) };
    let earlier = access.named(old.clone());
    let new = &access.name;
    let plan = |files: &Files| {
        foreign(access, files)?;
        let mut plan = Plan::new();
        for (path, config, _) in &files.0 {
            let is_ours = |kind: &Kind| {
                config.fields(*kind, &old).is_some_and(|fields| files.is_ours(&earlier, path, *kind, &fields))
            };
            let ours: Vec<Kind> = Kind::ALL.into_iter().filter(is_ours).collect();
            let renamed = ours.iter().map(|kind| Edit::Rename { kind: *kind, name: old.clone(), to: new.clone() });
            let mut edits: Vec<Edit> = renamed.collect();
            // Contexts that a user made of the cluster lead to it as well.
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
    let changed = if old == *new {
        Vec::new()
    } else {
        change(access, access.files().chain(places.files()), Some(&old), plan)?.1
    };
    access.forget_earlier_name()?;
    Ok(changed)
}
