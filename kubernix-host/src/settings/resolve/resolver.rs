//! Picks the value of each setting from the sources.

use super::super::kind::{Directory, Kind, Name};
use super::super::{Defaults, Error, Id, Key, Origin, Partial};
use super::Place;
use super::layers::Layers;
use std::collections::{BTreeMap, BTreeSet};

/// Resolves settings one by one, and records where their values came from.
#[derive(Default)]
pub struct Resolver {
    pub(super) layers: Layers,
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) notes: Vec<String>,
    /// The revision of the state that the saved settings belong to.
    pub(super) revision: Option<u64>,
    /// The committed settings, if the user has edited the view of them.
    pub(super) committed: Option<Partial>,
    /// The cluster is created again: an existing one is used only as far as it can be read.
    pub(super) fresh: bool,
}

impl Resolver {
    /// The value of the source with the highest precedence. Records its origin, and adds a note if
    /// it replaces a saved value.
    fn pick<T: PartialEq>(
        &mut self,
        key: Key,
        get: impl Fn(&Partial) -> Option<T>,
        text: impl Fn(&T) -> String,
    ) -> Option<T> {
        let saved = self.layers.saved.as_ref().and_then(|saved| Some((get(saved)?, saved)));
        let given = self.layers.given.iter().find_map(|given| Some((get(given)?, given)));
        let origin = |(value, source): &(T, &Partial)| source.origin(&key, &text(value));
        let name = key.to_string();
        if let (Some(new), Some(old)) = (&given, &saved)
            && new.0 != old.0
        {
            let (by, from) = (origin(new), origin(old));
            self.notes.push(format!("{name}: `{}` ({by}) replaces `{}` of {from}", text(&new.0), text(&old.0)));
        }
        let found = given.or(saved)?;
        let origin = origin(&found);
        let (value, _) = found;
        self.origins.insert(name, origin);
        Some(value)
    }

    /// As [`Resolver::pick`], for a single setting. Returns the value in its final form.
    pub fn accepted<K: Kind>(
        &mut self,
        id: Id,
        get: impl Fn(&Partial) -> Option<K::Value>,
    ) -> Result<Option<K::Value>, Error> {
        let Some(value) = self.pick(Key::Plain(id), get, K::show) else { return Ok(None) };
        let origin = || self.origins.get(id.setting().key()).cloned().unwrap_or(Origin::Default);
        K::accept(value).map(Some).map_err(|reason| Error::value(origin(), reason))
    }

    /// The name and the base directory of the cluster.
    pub fn place(&mut self, defaults: &Defaults, default_name: &str) -> Result<Place, Error> {
        let name = self.accepted::<Name>(Id::Name, |given| given.name.clone())?.unwrap_or_else(|| default_name.into());
        let root = match self.accepted::<Directory>(Id::Root, |given| given.root.clone())? {
            Some(given) => given,
            None => defaults.root()?,
        };
        Ok(Place { name, root })
    }

    /// The mirrors of registries.
    pub fn mirrors(&mut self) -> BTreeMap<String, Vec<String>> {
        let prefixes: BTreeSet<String> = self.layers.iter().flat_map(|source| source.mirrors.keys().cloned()).collect();
        let pick = |prefix: String| {
            let get = |given: &Partial| given.mirrors.get(&prefix).cloned();
            let urls = self.pick(Key::Mirrors(prefix.clone()), get, |urls| urls.join(","))?;
            Some((prefix, urls))
        };
        prefixes.into_iter().filter_map(pick).collect()
    }

    /// The components of slots.
    pub fn slots(&mut self) -> BTreeMap<String, String> {
        let roles: BTreeSet<String> = self.layers.iter().flat_map(|source| source.slots.keys().cloned()).collect();
        let pick = |role: String| {
            let component =
                self.pick(Key::Slot(role.clone()), |given| given.slots.get(&role).cloned(), String::clone)?;
            Some((role, component))
        };
        roles.into_iter().filter_map(pick).collect()
    }

    /// The parameters of components.
    pub fn components(&mut self) -> BTreeMap<String, BTreeMap<String, String>> {
        let named = self.layers.iter().flat_map(|source| &source.components);
        let keys: BTreeSet<(String, String)> = named
            .flat_map(|(component, parameters)| parameters.keys().map(|name| (component.clone(), name.clone())))
            .collect();
        let mut components = BTreeMap::<String, BTreeMap<String, String>>::new();
        for (component, name) in keys {
            let get = |given: &Partial| given.components.get(&component)?.get(&name).cloned();
            if let Some(text) = self.pick(Key::Parameter(component.clone(), name.clone()), get, String::clone) {
                components.entry(component).or_default().insert(name, text);
            }
        }
        components
    }
}
