//! Builds images: one layer, uncompressed.
//!
//! Uncompressed because it is read once on the same machine, where compressing costs more than it saves. Times, owners and
//! order are fixed, so that the same image has the same digest on every machine of an architecture.

use super::{Error, Problem, hex, reference};
use crate::root::write_atomic;
use oci_spec::OciSpecError;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, Config, Descriptor, ImageConfiguration, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFs, SCHEMA_VERSION, Sha256Digest,
};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path};
use std::str::FromStr;
use tar::{EntryType, Header};

/// When everything in an image was made, in the two forms that are needed.
const EPOCH: &str = "1970-01-01T00:00:00Z";
/// As [`EPOCH`].
const EPOCH_SECONDS: u64 = 0;
/// Directories that nobody asked for but files lie in.
const PARENT_MODE: u32 = 0o755;

/// What an image's layer holds under a path.
#[derive(Debug, Clone)]
enum Entry {
    Directory { mode: u32 },
    File { bytes: Cow<'static, [u8]>, mode: u32 },
}

/// An image for this machine's architecture, piece by piece.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    name: String,
    /// By path as it was given, checked when the archive is written.
    entries: BTreeMap<String, Entry>,
    entrypoint: Vec<String>,
    env: Vec<String>,
    user: Option<String>,
}

impl ImageBuilder {
    /// An empty image of this name: `kubernix.local/pause:1.0.0`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), entries: BTreeMap::new(), entrypoint: Vec::new(), env: Vec::new(), user: None }
    }

    /// Adds a file, owned by root. Directories that it needs are made 0755.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, bytes: impl Into<Cow<'static, [u8]>>, mode: u32) -> Self {
        self.entries.insert(path.into(), Entry::File { bytes: bytes.into(), mode });
        self
    }

    /// Adds a directory, owned by root.
    #[must_use]
    pub fn directory(mut self, path: impl Into<String>, mode: u32) -> Self {
        self.entries.insert(path.into(), Entry::Directory { mode });
        self
    }

    /// The program that containers run, with its first arguments.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = command.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// Who runs the program: `65535:65535`. Root, where it isn't said.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Writes an OCI archive: an OCI layout in a tar file, in which the image has its full name. `true` if the file changed;
    /// its directory must exist.
    ///
    /// # Errors
    /// The name is no image reference, a path leads out of the image, or the file can't be written.
    pub fn write_archive(&self, path: &Path) -> Result<bool, Error> {
        let bytes = self.archive().map_err(|problem| Error::Build { image: self.name.clone(), problem })?;
        write_atomic(path, &bytes, 0o644).map_err(|cause| Error::Write { cause: cause.into() })
    }

    fn archive(&self) -> Result<Vec<u8>, Problem> {
        let name = reference::full(&self.name)?;
        let layer = self.layer()?;
        let layer_descriptor = descriptor(MediaType::ImageLayer, &layer)?;
        let malformed = |cause: OciSpecError| malformed(&cause);
        let config = self.config(layer_descriptor.digest().to_string()).to_string().map_err(malformed)?.into_bytes();
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(MediaType::ImageConfig, &config)?)
            .layers(vec![layer_descriptor]);
        let manifest = manifest.build().and_then(|manifest| manifest.to_string()).map_err(malformed)?.into_bytes();
        let mut entry = descriptor(MediaType::ImageManifest, &manifest)?;
        let platform = PlatformBuilder::default().architecture(Arch::default()).os(Os::Linux);
        entry.set_platform(Some(platform.build().map_err(malformed)?));
        // One alone: the order of more would differ from run to run.
        entry.set_annotations(Some(HashMap::from([(ANNOTATION_REF_NAME.to_owned(), name)])));
        let index = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![entry]);
        let index = index.build().and_then(|index| index.to_string()).map_err(malformed)?;
        let layout = OciLayoutBuilder::default().image_layout_version("1.0.0");
        let layout = layout.build().and_then(|layout| layout.to_string()).map_err(malformed)?;

        let mut archive = BTreeMap::new();
        let mut add = |path: String, bytes: Vec<u8>| {
            archive.insert(path, Entry::File { bytes: bytes.into(), mode: 0o644 });
        };
        for blob in [config, manifest, layer] {
            add(format!("blobs/sha256/{}", hex(&Sha256::digest(&blob))), blob);
        }
        add("index.json".to_owned(), index.into_bytes());
        add("oci-layout".to_owned(), layout.into_bytes());
        archive.insert("blobs".to_owned(), Entry::Directory { mode: PARENT_MODE });
        archive.insert("blobs/sha256".to_owned(), Entry::Directory { mode: PARENT_MODE });
        pack(&archive)
    }

    /// The layer's files with the directories that they need.
    fn layer(&self) -> Result<Vec<u8>, Problem> {
        let mut entries = BTreeMap::new();
        for (path, entry) in &self.entries {
            let path = inside(path)?;
            for (end, _) in path.match_indices('/') {
                entries.entry(path[..end].to_owned()).or_insert(Entry::Directory { mode: PARENT_MODE });
            }
            entries.insert(path, entry.clone());
        }
        pack(&entries)
    }

    fn config(&self, layer: String) -> ImageConfiguration {
        let list = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
        let mut config = Config::default();
        config.set_entrypoint(list(&self.entrypoint)).set_env(list(&self.env)).set_user(self.user.clone());
        let mut root_fs = RootFs::default();
        root_fs.set_diff_ids(vec![layer]);
        let mut image = ImageConfiguration::default();
        image.set_created(Some(EPOCH.to_owned())).set_architecture(Arch::default()).set_os(Os::Linux);
        image.set_config(Some(config)).set_rootfs(root_fs);
        image
    }
}

/// A path as tar files have it: without a slash at the ends.
fn inside(path: &str) -> Result<String, Problem> {
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy()),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(Problem::Path(path.to_owned())),
        }
    }
    if parts.is_empty() { Err(Problem::Path(path.to_owned())) } else { Ok(parts.join("/")) }
}

/// A tar file of these entries in the order of their paths, by which directories come before what is in them.
fn pack(entries: &BTreeMap<String, Entry>) -> Result<Vec<u8>, Problem> {
    let pack = || -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, entry) in entries {
            let (kind, name, bytes, mode) = match entry {
                Entry::Directory { mode } => (EntryType::Directory, format!("{path}/"), &[][..], *mode),
                Entry::File { bytes, mode } => (EntryType::Regular, path.clone(), bytes.as_ref(), *mode),
            };
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(EPOCH_SECONDS);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes)?;
        }
        tar.into_inner()
    };
    pack().map_err(|cause| malformed(&cause))
}

fn descriptor(media_type: MediaType, bytes: &[u8]) -> Result<Descriptor, Problem> {
    let digest = Sha256Digest::from_str(&hex(&Sha256::digest(bytes))).map_err(|cause| malformed(&cause))?;
    Ok(Descriptor::new(media_type, bytes.len() as u64, digest))
}

fn malformed(cause: &dyn std::error::Error) -> Problem {
    Problem::Malformed { part: "its description".to_owned(), reason: cause.to_string() }
}
