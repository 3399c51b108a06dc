//! Errors about the images of a running cluster.

use crate::control::ControlError;
use crate::images;

/// An image can't be loaded or removed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// An image archive.
    #[error(transparent)]
    Archive(#[from] images::Error),
    /// A container runtime rejects the image.
    #[error("image {image}: {source}")]
    Rejected {
        /// The image's name.
        image: String,
        /// The reply of the cluster.
        source: ControlError,
    },
    /// No node has the image.
    #[error("no node of cluster `{cluster}` has the image `{image}`: `image list` shows the images of each node")]
    NotFound {
        /// The cluster.
        cluster: String,
        /// The image's full name.
        image: String,
    },
}

impl ImageError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Archive(_) | Self::NotFound { .. } => 2,
            Self::Rejected { .. } => 1,
        }
    }
}
