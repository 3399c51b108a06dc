//! Builds images without a registry, and checks image archives before they are imported.
//!
//! [`ImageBuilder`] writes an image as an OCI layout in a tar file, always with the same bytes for
//! the same image. [`Archive`] reads OCI and docker archives, checks that they are complete and
//! undamaged, and returns the address of each image for `skopeo`. The module must not import
//! images: the component that fills the role `cri` does that.

mod archive;
mod blobs;
mod builder;
mod contents;
mod docker;
mod elf;
mod error;
mod oci;
mod reference;
mod store;
#[cfg(test)]
mod tests;

pub use archive::{Archive, Image, Kind};
pub use builder::ImageBuilder;
pub(crate) use contents::GZIP;
pub use error::{Error, Problem};
pub use store::{Built, check_build, ensure};

use std::path::Path;

/// The name of the image that holds a pod's namespaces.
pub const PAUSE_IMAGE: &str = "kubernix.local/pause:1.0.0";

/// Writes the archive of [`PAUSE_IMAGE`], about 1 MB. `true` if the file changed; its directory
/// must exist.
///
/// # Errors
/// The file can't be written.
pub fn write_pause_archive(path: &Path) -> Result<bool, Error> {
    ImageBuilder::new(PAUSE_IMAGE)
        .file("/pause", kubernix_pause::PAUSE, 0o755)
        .entrypoint(["/pause"])
        // An unprivileged user, the same as in the image that Kubernetes publishes.
        .user("65535:65535")
        .write_archive(path)
}

/// Completes an image reference: `busybox` becomes `docker.io/library/busybox:latest`.
///
/// # Errors
/// It is not an image reference.
pub fn full_name(reference: &str) -> Result<String, Error> {
    reference::full(reference).map_err(|problem| Error::Build { image: reference.to_owned(), problem })
}
