//! Writes the registry of compiled-in components. They are the optional dependencies of this crate
//! below `components/`, each behind the feature of its folder's name. `cargo xtask components`
//! keeps both lists in `Cargo.toml`.

use super::Result;
use std::fmt::Write as _;
use toml::{Table, Value};

/// The folder of the components, as a path dependency names it.
const FOLDER: &str = "../components/";

/// An expression of type `Vec<Handle>`, in the order of the folders' names.
pub fn registry(manifest: &Table) -> Result<String> {
    let dependencies = manifest["dependencies"].as_table().ok_or("[dependencies] is a table")?;
    let mut code = "vec![\n".to_owned();
    for (package, dependency) in dependencies {
        let path = dependency.get("path").and_then(Value::as_str);
        let Some(name) = path.and_then(|path| path.strip_prefix(FOLDER)) else { continue };
        let feature = manifest["features"].get(name).and_then(Value::as_array);
        if feature.is_none_or(|needs| *needs != [Value::from(format!("dep:{package}"))]) {
            return Err(format!("the component `{name}` has no feature: run `cargo xtask components`").into());
        }
        writeln!(code, "    #[cfg(feature = {name:?})]\n    {}::component(),", package.replace('-', "_"))?;
    }
    Ok(code + "]\n")
}
