//! The sources of settings that a command reads: flags, variables and a configuration file.

use super::super::{Defaults, Error, Partial, document};
use std::path::{Path, PathBuf};

/// The configuration file's name in a working directory.
const FILE: &str = "kubernix.toml";

/// The values of each source.
#[derive(Default)]
pub struct Layers {
    /// Flags, variables and the configuration file, highest precedence first.
    pub given: Vec<Partial>,
    /// The settings of the last boot.
    pub saved: Option<Partial>,
    /// The path of the configuration file.
    pub path: Option<PathBuf>,
}

impl Layers {
    /// Makes paths absolute and reads the configuration file, if there is one.
    pub fn read(
        flags: Partial,
        env: Partial,
        file: Option<&Path>,
        cwd: &Path,
        defaults: &Defaults,
    ) -> Result<Self, Error> {
        let home = defaults.home.as_deref();
        let named = file.map(Path::to_owned).or(flags.config.clone()).or(env.config.clone());
        let mut layers = Self { given: vec![flags.based_at(cwd, home)?, env.based_at(cwd, home)?], ..Self::default() };
        let candidates = match &named {
            Some(path) => vec![cwd.join(path)],
            None => [Some(cwd.join(FILE)), defaults.config.clone()].into_iter().flatten().collect(),
        };
        for path in candidates {
            if let Some(partial) = document::read(&path)? {
                layers.given.push(partial.based_at(path.parent().unwrap_or(cwd), home)?);
                layers.path = Some(path);
                break;
            } else if named.is_some() {
                return Err(Error::Read { path, cause: std::io::ErrorKind::NotFound.into() });
            }
        }
        Ok(layers)
    }

    /// All sources, highest precedence first.
    pub fn iter(&self) -> impl Iterator<Item = &Partial> {
        self.given.iter().chain(&self.saved)
    }
}
