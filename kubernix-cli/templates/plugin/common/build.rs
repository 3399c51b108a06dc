//! Copies the manifest and its pins beside the library: KuberNix reads them before it loads the
//! library.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // OUT_DIR is below `build`, and `build` is beside the library.
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let build = out.ancestors().find(|path| path.ends_with("build")).unwrap_or(&out);
    let beside = build.parent().unwrap_or(build);
    for name in ["__NAME__.toml", "toolchain"] {
        place(Path::new(name), &beside.join(name))?;
    }
    Ok(())
}

fn place(from: &Path, to: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", from.display());
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            place(&from.join(&name), &to.join(&name))?;
        }
    } else if from.exists() {
        fs::copy(from, to)?;
    }
    Ok(())
}
