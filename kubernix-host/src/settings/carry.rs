//! The saved settings of a cluster, for another one that is made of it.

use super::save::HEADER;
use super::{Error, Id, Partial};
use std::path::Path;
use toml::{Table, Value};

/// Settings for another cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The text of its `kubernix.toml`.
    pub text: String,
    /// What was left out, by key.
    pub left_out: Vec<String>,
}

/// Carries saved settings over to a cluster of this name, whose data is in this datastore. Ports of
/// the host are the old cluster's: where the name is another, they are left out.
///
/// # Errors
/// The text is no configuration; `path` is where it is said to come from.
pub fn carry(path: &Path, text: &str, name: &str, datastore: &str) -> Result<Carried, Error> {
    let old = Partial::from_toml(path, text)?;
    // It was understood just now.
    let mut table: Table = toml::from_str(text).unwrap_or_default();
    let mut left_out = Vec::new();
    if old.name.as_deref() != Some(name) {
        for setting in Id::ALL.iter().map(|id| id.setting()).filter(|setting| setting.is_of_host()) {
            if table.remove(setting.key()).is_some() {
                left_out.push(setting.key().to_owned());
            }
        }
    }
    table.insert(Id::Name.setting().key().to_owned(), name.into());
    let slots = table.entry("slots").or_insert_with(|| Value::Table(Table::new()));
    if let Some(slots) = slots.as_table_mut() {
        // Also where it is the default: another version may have another one.
        slots.insert(kubernix_core::roles::DATASTORE.into(), datastore.into());
    }
    Ok(Carried { text: HEADER.to_owned() + &table.to_string(), left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "name = \"one\"\ncidr = \"10.20.0.0/16\"\nport = 7000\nregistry-port = 5001\npublish = [\"8080:30080\"]\n\n[slots]\ncri = \"x\"\n\n\
        [components.kubelet]\nmax-pods = \"50\"\n";

    fn read(carried: &Carried) -> Partial {
        Partial::from_toml(Path::new("new.toml"), &carried.text).unwrap()
    }

    #[test]
    fn another_cluster_has_another_name_and_no_ports_of_the_old_one() {
        let carried = carry(Path::new("old.toml"), OLD, "two", "store").unwrap();
        assert_eq!(carried.left_out, ["port", "registry-port", "publish"]);
        let new = read(&carried);
        assert_eq!((new.name.as_deref(), new.port, new.registry_port), (Some("two"), None, None));
        assert_eq!(new.cidr, Some("10.20.0.0/16".parse().unwrap()));
        assert_eq!((&*new.slots["cri"], &*new.slots["datastore"]), ("x", "store"));
        assert_eq!(new.components["kubelet"]["max-pods"], "50");
    }

    #[test]
    fn the_same_cluster_keeps_all_and_what_is_no_configuration_is_an_error() {
        let carried = carry(Path::new("old.toml"), OLD, "one", "store").unwrap();
        assert_eq!((read(&carried).port, carried.left_out), (Some(7000), vec![]));
        let bare = carry(Path::new("old.toml"), "name = \"one\"\n", "one", "store").unwrap();
        assert_eq!(read(&bare).slots["datastore"], "store");
        let error = carry(Path::new("/x/s.tar.gz"), "cdir = \"x\"\n", "one", "store").unwrap_err().to_string();
        assert!(error.contains("/x/s.tar.gz:1:1") && error.contains("did you mean `cidr`?"), "{error}");
    }
}
