//! Builds images with one uncompressed layer.
//!
//! The layer is read once on the same machine, where compression would take longer than it saves.
//! Times, owners and order are fixed, so that the same image has the same digest on all machines of
//! an architecture.

use super::blobs::{self, Blobs};
use super::{Error, Problem, reference};
use crate::root_dir::write_atomic;
use oci_spec::OciSpecError;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, Config, Descriptor, ImageConfiguration, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFs, SCHEMA_VERSION,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use tar::{EntryType, Header};

/// The creation time in configs: that of all images.
const EPOCH: &str = "1970-01-01T00:00:00Z";
/// [`EPOCH`] as Unix time in seconds.
const EPOCH_SECONDS: u64 = 0;
/// The mode of parent directories that weren't added explicitly.
const PARENT_MODE: u32 = 0o755;

/// The source of a file's content.
#[derive(Debug, Clone)]
enum Content {
    Bytes(Cow<'static, [u8]>),
    File(PathBuf),
}

/// An entry of an image's layer or of an archive.
#[derive(Debug, Clone)]
enum Entry {
    Directory { mode: u32 },
    File { content: Content, mode: u32 },
    Link { target: String },
}

/// Builds an image for this machine's architecture.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    name: String,
    /// By path. Paths are checked when the image is written.
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

    /// Adds a file, owned by root. Missing parent directories get mode 0755.
    #[must_use]
    pub fn file(self, path: impl Into<String>, bytes: impl Into<Cow<'static, [u8]>>, mode: u32) -> Self {
        self.entry(path, Entry::File { content: Content::Bytes(bytes.into()), mode })
    }

    /// As [`ImageBuilder::file`], with the content of a file that is read when the image is
    /// written.
    #[must_use]
    pub fn copy(self, path: impl Into<String>, source: impl Into<PathBuf>, mode: u32) -> Self {
        self.entry(path, Entry::File { content: Content::File(source.into()), mode })
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.entry(path, Entry::Link { target: target.into() })
    }

    /// Adds a directory, owned by root.
    #[must_use]
    pub fn directory(self, path: impl Into<String>, mode: u32) -> Self {
        self.entry(path, Entry::Directory { mode })
    }

    fn entry(mut self, path: impl Into<String>, entry: Entry) -> Self {
        self.entries.insert(path.into(), entry);
        self
    }

    /// Sets the program that containers run, with its first arguments.
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

    /// Sets the user that runs the program: `65535:65535`. The default is root.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Writes an OCI archive: an OCI layout in a tar file, in which the image has its full name.
    /// Returns whether the file changed. Its directory must exist. Only for small images: the tar
    /// file is built in memory.
    ///
    /// # Errors
    /// The name is not an image reference, a path is outside the image, or a file can't be read or
    /// written.
    pub fn write_archive(&self, path: &Path) -> Result<bool, Error> {
        // Check the image before any file is written.
        reference::full(&self.name).and_then(|_| self.layer()).map_err(|problem| self.build_error(problem))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let layout = tempfile::Builder::new().prefix(".layout-").tempdir_in(directory).map_err(write_error(path))?;
        self.write_layout(layout.path())?;
        let mut entries = BTreeMap::new();
        for name in ["blobs", blobs::BELOW] {
            entries.insert(name.to_owned(), Entry::Directory { mode: PARENT_MODE });
        }
        let mut names = vec!["index.json".to_owned(), "oci-layout".to_owned()];
        names.extend(blobs::names(layout.path()).map_err(write_error(path))?);
        for name in names {
            let content = Content::File(layout.path().join(&name));
            entries.insert(name, Entry::File { content, mode: 0o644 });
        }
        let bytes = pack(&entries, Vec::new()).map_err(|problem| self.build_error(problem))?;
        write_atomic(path, &bytes, 0o644).map_err(|cause| Error::Write { cause: cause.into() })
    }

    /// Writes an OCI layout into an empty directory. The image has its full name there. Returns the
    /// image's ID in runtimes: the digest of its config, `sha256:...`.
    ///
    /// # Errors
    /// As [`ImageBuilder::write_archive`].
    pub fn write_layout(&self, directory: &Path) -> Result<String, Error> {
        let name = reference::full(&self.name).map_err(|problem| self.build_error(problem))?;
        let blobs = Blobs::new(directory).map_err(write_error(directory))?;
        let layer = self.write_layer(&blobs)?;
        let malformed = |cause: OciSpecError| self.build_error(malformed(&cause));
        let config = self.config(layer.digest().to_string()).to_string().map_err(malformed)?.into_bytes();
        let config = blobs.add(MediaType::ImageConfig, &config).map_err(write_error(directory))?;
        let id = config.digest().to_string();
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers(vec![layer]);
        let manifest = manifest.build().and_then(|manifest| manifest.to_string()).map_err(malformed)?.into_bytes();
        let mut entry = blobs.add(MediaType::ImageManifest, &manifest).map_err(write_error(directory))?;
        let platform = PlatformBuilder::default().architecture(Arch::default()).os(Os::Linux);
        entry.set_platform(Some(platform.build().map_err(malformed)?));
        // Only one annotation, because the order of several would be random.
        entry.set_annotations(Some(HashMap::from([(ANNOTATION_REF_NAME.to_owned(), name)])));
        let index = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![entry]);
        let index = index.build().and_then(|index| index.to_string()).map_err(malformed)?;
        let layout = OciLayoutBuilder::default().image_layout_version("1.0.0");
        let layout = layout.build().and_then(|layout| layout.to_string()).map_err(malformed)?;
        for (name, text) in [("oci-layout", layout), ("index.json", index)] {
            fs::write(directory.join(name), text).map_err(write_error(&directory.join(name)))?;
        }
        Ok(id)
    }

    fn build_error(&self, problem: Problem) -> Error {
        Error::Build { image: self.name.clone(), problem }
    }

    /// Writes the layer as a blob.
    fn write_layer(&self, blobs: &Blobs) -> Result<Descriptor, Error> {
        let entries = self.layer().map_err(|problem| self.build_error(problem))?;
        let mut blob = blobs.begin().map_err(write_error(&blobs.0))?;
        pack(&entries, &mut blob).map_err(|problem| self.build_error(problem))?;
        blobs.end(MediaType::ImageLayer, blob).map_err(write_error(&blobs.0))
    }

    fn layer(&self) -> Result<BTreeMap<String, Entry>, Problem> {
        let mut entries = BTreeMap::new();
        for (path, entry) in &self.entries {
            let path = tar_path(path)?;
            for (end, _) in path.match_indices('/') {
                entries.entry(path[..end].to_owned()).or_insert(Entry::Directory { mode: PARENT_MODE });
            }
            entries.insert(path, entry.clone());
        }
        Ok(entries)
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

/// A path in the form of tar files: without leading and trailing slashes.
fn tar_path(path: &str) -> Result<String, Problem> {
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

/// Writes a tar file of these entries in the order of their paths, so that directories come before
/// their content.
fn pack<W: Write>(entries: &BTreeMap<String, Entry>, to: W) -> Result<W, Problem> {
    let mut tar = tar::Builder::new(to);
    for (path, entry) in entries {
        let pack_error = |cause: io::Error| Problem::Malformed { part: format!("`{path}`"), reason: cause.to_string() };
        let mut header = Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(EPOCH_SECONDS);
        let mut add = |kind, name: &str, mode, size, bytes: &mut dyn Read| {
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(size);
            tar.append_data(&mut header, name, bytes)
        };
        match entry {
            Entry::Directory { mode } => add(EntryType::Directory, &format!("{path}/"), *mode, 0, &mut io::empty()),
            Entry::File { content: Content::Bytes(bytes), mode } => {
                add(EntryType::Regular, path, *mode, bytes.len() as u64, &mut &**bytes)
            }
            Entry::File { content: Content::File(source), mode } => {
                let read_error = |cause: io::Error| Problem::Source { path: source.clone(), cause: cause.to_string() };
                let file = File::open(source).map_err(read_error)?;
                let size = file.metadata().map_err(read_error)?.len();
                add(EntryType::Regular, path, *mode, size, &mut file.take(size))
            }
            Entry::Link { target } => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, path, target)
            }
        }
        .map_err(pack_error)?;
    }
    tar.into_inner().map_err(|cause| malformed(&cause))
}

fn malformed(cause: &dyn std::error::Error) -> Problem {
    Problem::Malformed { part: "its description".to_owned(), reason: cause.to_string() }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |cause| Error::Write { cause: format!("can't write `{}`: {cause}", path.display()).into() }
}
