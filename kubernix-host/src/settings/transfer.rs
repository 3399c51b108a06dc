//! Adapts the saved settings of a cluster for another cluster that is created from it.

use super::save::HEADER;
use super::{Error, Id, Partial};
use std::path::Path;
use toml::{Table, Value};

/// Settings for another cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// The text of its `kubernix.toml`.
    pub text: String,
    /// The keys of settings that were omitted.
    pub omitted: Vec<String>,
}

/// Adapts saved settings for a cluster with this name and this datastore. If the name differs, host
/// ports are omitted, because they belong to the old cluster.
///
/// # Errors
/// The text isn't a valid configuration. `path` is used in the message.
pub fn transfer(path: &Path, text: &str, name: &str, datastore: &str) -> Result<Transferred, Error> {
    let old = Partial::from_toml(path, text)?;
    // The text is valid TOML: it was parsed above.
    let mut table: Table = toml::from_str(text).unwrap_or_default();
    let mut omitted = Vec::new();
    if old.name.as_deref() != Some(name) {
        for setting in Id::ALL.iter().map(|id| id.setting()).filter(|setting| setting.uses_host_ports()) {
            if table.remove(setting.key()).is_some() {
                omitted.push(setting.key().to_owned());
            }
        }
    }
    table.insert(Id::Name.setting().key().to_owned(), name.into());
    let slots = table.entry("slots").or_insert_with(|| Value::Table(Table::new()));
    if let Some(slots) = slots.as_table_mut() {
        // Set even if it is the default, because another version may have another default.
        slots.insert(kubernix_core::roles::DATASTORE.into(), datastore.into());
    }
    Ok(Transferred { text: HEADER.to_owned() + &table.to_string(), omitted })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "name = \"one\"\ncidr = \"10.20.0.0/16\"\nport = 7000\nregistry-port = 5001\npublish = [\"8080:30080\"]\n\n[slots]\ncri = \"x\"\n\n\
        [components.kubelet]\nmax-pods = \"50\"\n";

    fn read(transferred: &Transferred) -> Partial {
        Partial::from_toml(Path::new("new.toml"), &transferred.text).unwrap()
    }

    #[test]
    fn a_cluster_with_another_name_gets_no_host_ports() {
        let transferred = transfer(Path::new("old.toml"), OLD, "two", "store").unwrap();
        assert_eq!(transferred.omitted, ["port", "registry-port", "publish"]);
        let new = read(&transferred);
        assert_eq!((new.name.as_deref(), new.port, new.registry_port), (Some("two"), None, None));
        assert_eq!(new.cidr, Some("10.20.0.0/16".parse().unwrap()));
        assert_eq!((&*new.slots["cri"], &*new.slots["datastore"]), ("x", "store"));
        assert_eq!(new.components["kubelet"]["max-pods"], "50");
    }

    #[test]
    fn the_same_cluster_keeps_all_settings_and_an_invalid_text_is_an_error() {
        let transferred = transfer(Path::new("old.toml"), OLD, "one", "store").unwrap();
        assert_eq!((read(&transferred).port, transferred.omitted), (Some(7000), vec![]));
        let bare = transfer(Path::new("old.toml"), "name = \"one\"\n", "one", "store").unwrap();
        assert_eq!(read(&bare).slots["datastore"], "store");
        let error = transfer(Path::new("/x/s.tar.gz"), "cdir = \"x\"\n", "one", "store").unwrap_err().to_string();
        assert!(error.contains("/x/s.tar.gz:1:1") && error.contains("did you mean `cidr`?"), "{error}");
    }
}
