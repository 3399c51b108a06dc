//! Compiles `src/main.rs` to a small static executable, which the library includes.
//!
//! It calls rustc itself. cargo would use the profile of the whole build, and pause has to be small
//! and static with every profile.

use std::env;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "src/main.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if let Err(error) = compile() {
        println!("cargo::error={error}");
    }
}

/// Creates `$OUT_DIR/pause`.
///
/// # Errors
/// The output of rustc, with a hint if its linker found no static C library.
fn compile() -> Result<(), String> {
    let target = variable("TARGET")?;
    let output = Path::new(&variable("OUT_DIR")?).join("pause");
    #[allow(clippy::disallowed_methods, reason = "a build script runs its compiler itself")]
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.args(["--edition=2024", "--crate-type=bin", "--crate-name=pause", "--target", &target]);
    rustc.args(["-Ctarget-feature=+crt-static", "-Crelocation-model=static", "-Cpanic=abort"]);
    rustc.args(["-Copt-level=s", "-Clto=fat", "-Ccodegen-units=1", "-Cstrip=symbols"]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.arg("-o").arg(output).arg(SOURCE);
    let result = rustc.output().map_err(|error| format!("can't run {rustc:?}: {error}"))?;
    if result.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&result.stderr);
    let hint = if stderr.contains("linking with") || stderr.contains("linker") {
        " (a static executable needs the C compiler and a static C library: libc6-dev on Debian, glibc-static on Fedora)"
    } else {
        ""
    };
    // cargo shows only one line of an error.
    let message = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ");
    Err(format!("the pause program for {target} can't be built{hint}: {message}"))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("the build script's environment doesn't have {name}: {error}"))
}
