//! Opens archives of all kinds, and has what the kinds have in common.

use super::contents::{Contents, Entry};
use super::{Error, Problem, docker, oci};
use oci_spec::image::Arch;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The layout of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An OCI layout in a tar file.
    Oci,
    /// An OCI layout in a directory.
    OciLayout,
    /// An archive as written by `docker save`.
    Docker,
}

impl Kind {
    /// The name of its transport in `skopeo`.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Oci => "oci-archive",
            Self::OciLayout => "oci",
            Self::Docker => "docker-archive",
        }
    }
}

/// An image of an archive that can be imported on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its full name: `docker.io/library/busybox:1.37`.
    pub reference: String,
    /// Its ID in runtimes: the digest of its config, `sha256:...`.
    pub id: String,
    /// Its address for container tools: `oci-archive:/tmp/busybox.tar`. If the archive has more
    /// than one image, a colon and the image's name follow.
    pub source: String,
}

/// An image archive that was checked: it is complete and undamaged.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The file, as an absolute path.
    pub path: PathBuf,
    /// The layout.
    pub kind: Kind,
    /// The images, in the archive's order. An image with two names appears twice.
    pub images: Vec<Image>,
}

/// An image as found by the reader of a kind.
pub(super) struct Found {
    pub reference: String,
    pub id: String,
    /// Its selector, if the archive has other images.
    pub selector: Option<String>,
}

impl Archive {
    /// Reads the whole file (with or without gzip compression) or directory, and checks every blob
    /// that its images need: existence, size, sha256, platform. Recent versions of `docker save`
    /// write archives that are OCI and docker archives at the same time: they are read as docker
    /// archives, because only there each image has its full name.
    ///
    /// # Errors
    /// The file can't be read, is not an image archive, or is damaged, or one of its images can't
    /// be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let path = path.canonicalize().map_err(Error::read(path))?;
        let Some(text) = path.to_str().filter(|text| !text.contains(':')) else {
            let found = "its path has a colon or is not UTF-8, which container tools don't support, rename it";
            return Err(Error::NotAnArchive { found: found.to_owned(), path });
        };
        let contents = Contents::read(&path)?;
        let (kind, found) = if let Some(manifest) = contents.get("manifest.json") {
            (Kind::Docker, docker::images(&path, manifest, &contents)?)
        } else if let Some(index) = contents.get("index.json") {
            let kind = if path.is_dir() { Kind::OciLayout } else { Kind::Oci };
            (kind, oci::images(&path, index, &contents)?)
        } else {
            let found = if contents.get("repositories").is_some() {
                "it is a docker archive without manifest.json, from before Docker 1.10"
            } else {
                "it has neither index.json nor manifest.json"
            };
            return Err(Error::NotAnArchive { found: found.to_owned(), path });
        };
        let transport = kind.transport();
        let images = found.into_iter().map(|Found { reference, id, selector }| Image {
            reference,
            id,
            source: match selector {
                Some(selector) => format!("{transport}:{text}:{selector}"),
                None => format!("{transport}:{text}"),
            },
        });
        Ok(Self { images: images.collect(), kind, path })
    }
}

/// The fields of an image's config that are read.
#[derive(Deserialize)]
pub(super) struct ImageConfig {
    architecture: String,
    os: String,
    pub rootfs: RootFs,
}

#[derive(Deserialize)]
pub(super) struct RootFs {
    #[serde(default)]
    pub diff_ids: Vec<String>,
}

impl ImageConfig {
    /// Parses a config, and checks that it is for this machine.
    pub fn parse(entry: &Entry) -> Result<Self, Problem> {
        let config: Self = json("its config", entry)?;
        let found = format!("{}/{}", config.os, config.architecture);
        if found != platform() {
            return Err(Problem::Platform { found, wanted: platform() });
        }
        Ok(config)
    }
}

/// The platform of this machine: `linux/amd64`.
pub(super) fn platform() -> String {
    format!("linux/{}", Arch::default())
}

/// Parses a JSON file of the archive.
pub(super) fn json<'a, T: Deserialize<'a>>(part: &str, entry: &'a Entry) -> Result<T, Problem> {
    let malformed = |reason: String| Problem::Malformed { part: part.to_owned(), reason };
    let text = entry.json.as_deref().ok_or_else(|| malformed("it is not JSON".to_owned()))?;
    serde_json::from_slice(text).map_err(|cause| malformed(cause.to_string()))
}

/// `layer 2 of 3`. `index` begins at 0.
pub(super) fn layer_title(index: usize, count: usize) -> String {
    format!("layer {} of {count}", index + 1)
}
