//! `bench plugins`: compares `kubernix` with compiled-in components to the same components as
//! plugins, alternately.

use super::Plugins;
use super::cluster::Cluster;
use super::report::{Machine, Row, Sheet};
use crate::workspace::{Profile, Workspace};
use crate::{exit_code, plugin, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The hidden command of `kubernix` that loads libraries and prints the time that it took.
const LOAD: &str = "__load-plugins";

/// Measures, and prints the result.
pub fn run(args: &Plugins) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let without = workspace.build_without(Profile::Release, &[])?;
    let libraries = plugin::build(&workspace, Profile::Release, &without, &[])?;
    let with = workspace.build(Profile::Release)?;
    let mut rows = Vec::new();
    for library in &libraries {
        let name = library.file_stem().unwrap_or_default().to_string_lossy().trim_start_matches("lib").to_owned();
        let alone = std::slice::from_ref(library);
        rows.push(row(format!("load.{name}"), format!("load {name} alone"), "ms", loads(&without, alone, args.loads)?));
        let size = std::fs::metadata(library)?.len() as f64 / 1e6;
        rows.push(row(format!("size.{name}"), format!("  lib{name}.so"), "MB", vec![size]));
    }
    let all = loads(&without, &libraries, args.loads)?;
    rows.push(row("load.all".into(), format!("load all {}", libraries.len()), "ms", all));
    let found = installed(&without, &libraries, args.loads)?;
    rows.push(row("load.installed".into(), "  found, hashed and loaded".into(), "ms", found));
    rows.extend(boots(args, &with, &without, &libraries)?);
    let sheet = Sheet { machine: Machine::this(), runs: args.loads as usize, rows };
    super::show(&sheet, args.output);
    exit_code(true)
}

fn row(key: String, label: String, unit: &'static str, values: Vec<f64>) -> Row {
    Row { key, label, unit, values }
}

/// The load times in milliseconds, each measured in a new process.
fn loads(kubernix: &Path, libraries: &[PathBuf], times: u32) -> Result<Vec<f64>> {
    let one = |_| {
        let printed = run::output(run::command(kubernix).arg(LOAD).args(libraries))?;
        let micros: f64 = printed.trim().parse().with_context(|| format!("`{printed}` isn't a time"))?;
        Ok(micros / 1e3)
    };
    (0..times).map(one).collect()
}

/// As [`loads`], for installed plugins, as at a boot: includes the search, the manifests, and the
/// hash of every file.
fn installed(kubernix: &Path, libraries: &[PathBuf], times: u32) -> Result<Vec<f64>> {
    let home = tempfile::tempdir()?;
    let folder = libraries.first().and_then(|library| library.parent()).context("there is no plugin")?;
    let mut install = run::command(kubernix);
    run::output(install.args(["plugin", "install"]).arg(folder).env("XDG_DATA_HOME", home.path()))?;
    loads(kubernix, &[home.path().join("kubernix/plugins")], times)
}

/// The durations of `up` in seconds, alternately with compiled-in components and with plugins.
fn boots(args: &Plugins, with: &Path, without: &Path, libraries: &[PathBuf]) -> Result<Vec<Row>> {
    if args.boots == 0 {
        return Ok(Vec::new());
    }
    let directory = tempfile::tempdir()?;
    let folder = libraries.first().and_then(|library| library.parent()).context("there is no plugin")?;
    let folder = folder.to_string_lossy().into_owned();
    let (mut compiled_in, mut loaded) = (Vec::new(), Vec::new());
    for number in 0..=args.boots {
        for (kubernix, plugins, times) in
            [(with, &[][..], &mut compiled_in), (without, &["--plugin", &folder][..], &mut loaded)]
        {
            let cluster = Cluster::new(kubernix, directory.path(), "bench");
            let up = cluster.timed(&[&["up", "--quiet"], plugins].concat());
            cluster.down_if_exists();
            // The first boot of each kind is a warm-up.
            if number > 0 {
                times.push(up?.as_secs_f64());
            }
        }
    }
    let ratios = loaded.iter().zip(&compiled_in).map(|(loaded, compiled_in)| loaded / compiled_in).collect();
    Ok(vec![
        row("up.compiled_in".into(), "`up`, compiled in".into(), "s", compiled_in),
        row("up.plugins".into(), "`up`, every component a plugin".into(), "s", loaded),
        row("up.ratio".into(), "  to compiled in".into(), "", ratios),
    ])
}
