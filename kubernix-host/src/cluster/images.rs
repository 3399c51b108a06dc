//! The images of a running cluster: loads, lists and removes them on all nodes.

use super::{Cluster, HostError, ImageError};
use crate::control::{Client, Reply, Request};
use crate::cri_client;
use crate::events::{Event, Sink};
use crate::images::{self, Archive, full_name};
use crate::root_dir::Root;
use kubernix_core::ImageBuild;
use serde::Serialize;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time limit of the import of one image.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(600);

/// The images of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeImages {
    /// The node.
    pub node: String,
    /// Its images.
    pub images: Vec<cri_client::Image>,
}

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadedImage {
    /// Its full name.
    pub name: String,
    /// Its ID: `sha256:...`.
    pub id: String,
    /// The nodes that it was imported on. All others had it already.
    pub nodes: Vec<String>,
}

impl Cluster {
    /// Imports all images of these archives (OCI or docker, or OCI layouts in directories) into the
    /// store of every node that lacks them.
    ///
    /// # Errors
    /// An archive is invalid; nothing is imported then. Or a runtime rejects an image: the images
    /// before it are imported, and the rejected image is in no store that didn't have it before.
    pub fn load_images(&self, files: &[PathBuf], sink: &dyn Sink) -> Result<Vec<LoadedImage>, HostError> {
        self.sandbox()?;
        // All archives are checked before the first import.
        let open = |file: &PathBuf| {
            let unreadable = |cause| images::Error::Read { path: file.clone(), cause };
            let visible = Visible::of(file, self.root()).map_err(unreadable)?;
            let archive = Archive::open(visible.path())?;
            // The only kind that the importers don't decompress themselves.
            if archive.kind == images::Kind::Docker
                && let Some(unpacked) = Visible::unpacked(visible.path(), self.root()).map_err(unreadable)?
            {
                return Ok((Archive::open(unpacked.path())?, unpacked));
            }
            Ok((archive, visible))
        };
        let archives = files.iter().map(open).collect::<Result<Vec<_>, HostError>>()?;
        let mut client = Client::connect(self.root(), IMPORT_TIMEOUT)?;
        let all = archives.iter().flat_map(|(archive, _)| &archive.images);
        all.map(|image| import(&mut client, self.root(), image.clone(), sink)).collect()
    }

    /// Builds an image of one statically linked program, and imports it as [`Cluster::load_images`]
    /// does. `command`: the arguments that containers run it with.
    ///
    /// # Errors
    /// The name is invalid, the program can't run in an image, or a runtime rejects the image.
    pub fn build_image(
        &self,
        program: &Path,
        name: &str,
        command: &[String],
        sink: &dyn Sink,
    ) -> Result<LoadedImage, HostError> {
        self.sandbox()?;
        let program =
            program.canonicalize().map_err(|cause| images::Error::Read { path: program.to_owned(), cause })?;
        let file = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let reference = full_name(name)?;
        let inside = format!("/{file}");
        let mut parts = vec![(format!("program {inside}"), program.to_string_lossy().into_owned())];
        let entrypoint = std::iter::once(&inside).chain(command);
        parts.extend(entrypoint.map(|argument| ("entrypoint".to_owned(), argument.clone())));
        let image = ImageBuild { reference: reference.clone(), parts };
        // In the root directory, which is visible in the sandbox.
        let built = images::ensure(&self.root().images(), &image)?;
        let source = format!("oci:{}", built.layout.display());
        let mut client = Client::connect(self.root(), IMPORT_TIMEOUT)?;
        let loaded = import(&mut client, self.root(), images::Image { reference, id: built.id, source }, sink);
        // The stores have a copy by now.
        let _ = std::fs::remove_dir_all(&built.layout);
        loaded
    }

    /// Removes images by name from every node's store. Returns their full names, each with the
    /// nodes that had it.
    ///
    /// # Errors
    /// No node has one of the images, or a runtime rejects the removal. The images before it are
    /// removed.
    pub fn remove_images(&self, names: &[String]) -> Result<Vec<(String, Vec<String>)>, HostError> {
        self.sandbox()?;
        let names: Vec<String> = names.iter().map(|name| full_name(name)).collect::<Result<_, _>>()?;
        let mut client = Client::connect(self.root(), IMPORT_TIMEOUT)?;
        let mut removed = Vec::new();
        for name in names {
            let failed = |source| ImageError::Rejected { image: name.clone(), source };
            match client.ask(&Request::RemoveImage { name: name.clone() }).map_err(failed)? {
                Reply::Removed { nodes } if !nodes.is_empty() => removed.push((name, nodes)),
                _ => return Err(ImageError::NotFound { cluster: self.name().to_owned(), image: name }.into()),
            }
        }
        Ok(removed)
    }

    /// The images of every node.
    ///
    /// # Errors
    /// The cluster doesn't run, or its runtime doesn't answer.
    pub fn images(&self) -> Result<Vec<NodeImages>, HostError> {
        self.sandbox()?;
        match self.client()?.ask(&Request::Images)? {
            Reply::Images { nodes } => Ok(nodes.into_iter().map(Into::into).collect()),
            _ => Ok(Vec::new()),
        }
    }
}

fn import(client: &mut Client, root: &Root, image: images::Image, sink: &dyn Sink) -> Result<LoadedImage, HostError> {
    let images::Image { reference: name, id, source } = image;
    // `oci:PATH`. A path in the root directory is another one inside the sandbox.
    let archive = source
        .split_once(':')
        .map_or_else(|| source.clone(), |(kind, path)| format!("{kind}:{}", root.to_inside(Path::new(path)).display()));
    let failed = |source| ImageError::Rejected { image: name.clone(), source };
    let reply = client.ask(&Request::Import { archive, name: name.clone(), id: id.clone() }).map_err(failed)?;
    let nodes = if let Reply::Imported { nodes } = reply { nodes } else { Vec::new() };
    let message = match nodes.as_slice() {
        [] => format!("every node has {name} already"),
        nodes => format!("imported {name} on {}", nodes.join(", ")),
    };
    sink.emit(Event::Note { message });
    Ok(LoadedImage { name, id, nodes })
}

/// A file that is visible in the sandbox.
enum Visible {
    AsIs(PathBuf),
    /// A temporary copy of a file that is compressed, or that lies where every sandbox mounts its
    /// own directory.
    Copied(tempfile::TempPath),
}

/// A new temporary file in the root directory, which is visible in the sandbox.
fn copy(root: &Root) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix("load-").tempfile_in(root.images())
}

impl Visible {
    fn of(file: &Path, root: &Root) -> std::io::Result<Self> {
        let file = file.canonicalize()?;
        if !super::up::REPLACED_DIRECTORIES.iter().any(|directory| file.starts_with(directory)) {
            return Ok(Self::AsIs(file));
        }
        let copy = copy(root)?.into_temp_path();
        std::fs::copy(file, &copy)?;
        Ok(Self::Copied(copy))
    }

    /// The unpacked content of a gzip file. `None` if it isn't one.
    fn unpacked(file: &Path, root: &Root) -> std::io::Result<Option<Self>> {
        let mut file = std::io::BufReader::new(std::fs::File::open(file)?);
        if !file.fill_buf()?.starts_with(images::GZIP) {
            return Ok(None);
        }
        let mut copy = copy(root)?;
        std::io::copy(&mut flate2::bufread::MultiGzDecoder::new(file), &mut copy)?;
        Ok(Some(Self::Copied(copy.into_temp_path())))
    }

    fn path(&self) -> &Path {
        match self {
            Self::AsIs(path) => path,
            Self::Copied(path) => path,
        }
    }
}
