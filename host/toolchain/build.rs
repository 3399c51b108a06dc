//! Writes the table of the pin modules that this crate carries: each folder of the toolchain with a
//! `go.mod`.
//!
//! It must not know what is built from them.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// The folder of the pin modules, from this crate's.
const TOOLCHAIN: &str = "../../toolchain";

fn main() -> Result<(), Box<dyn Error>> {
    let toolchain = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join(TOOLCHAIN).canonicalize()?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", toolchain.display());
    let entries = fs::read_dir(&toolchain)?.collect::<Result<Vec<_>, _>>()?;
    let mut modules: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    modules.retain(|module| module.join("go.mod").is_file());
    modules.sort();
    let mut code = "/// Name, go.mod, go.sum, and main.go where the module has its own program.\n\
                    const EMBEDDED: &[(&str, &str, &str, Option<&str>)] = &[\n"
        .to_owned();
    for module in modules {
        let name = module.file_name().and_then(|name| name.to_str()).ok_or("a folder's name is text")?;
        let include = |file: &str| format!("include_str!({:?})", module.join(file));
        let main =
            if module.join("main.go").is_file() { format!("Some({})", include("main.go")) } else { "None".into() };
        writeln!(code, "    ({name:?}, {}, {}, {main}),", include("go.mod"), include("go.sum"))?;
    }
    code.push_str("];\n");
    Ok(fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("pins.rs"), code)?)
}
