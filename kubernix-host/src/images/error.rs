//! What goes wrong with images and their archives.

use std::io;
use std::path::{Path, PathBuf};

/// What goes wrong with images. Each message holds its cause: there is no further chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// The file can't be written.
    #[error("{cause}")]
    Write {
        /// Names the file and why it failed.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is something else.
    #[error(
        "`{}` is no image archive: {found}; what fits is an OCI or docker archive, such as `skopeo copy` or `docker save` \
         write",
        path.display()
    )]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// The archive as a whole is damaged.
    #[error("the image archive `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// One of the archive's images can't be used.
    #[error("image {image} of `{}` can't be used: {problem}", path.display())]
    Image {
        /// The archive.
        path: PathBuf,
        /// The image: its name in backquotes, or its number where it has none.
        image: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An image can't be built.
    #[error("can't build the image `{image}`: {problem}")]
    Build {
        /// Its name.
        image: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

impl Error {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Read { path: path.to_owned(), cause }
    }
}

/// What is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It has no name, or a tag alone.
    #[error("it has no name ({0}): save it by its name and tag")]
    Nameless(String),
    /// Its name is no image reference.
    #[error("its name is not an image reference: {0}")]
    Reference(String),
    /// Another image of the archive has the same name.
    #[error("another image of the archive is also named `{0}`: save them one by one")]
    Ambiguous(String),
    /// A part is missing.
    #[error("{part} (`{name}`) is missing from the archive")]
    Missing {
        /// `its config`, `layer 2 of 3`.
        part: String,
        /// Its digest, or its path in the archive.
        name: String,
    },
    /// A part has another size.
    #[error("{part} (`{name}`) is damaged: it has {found} bytes instead of {wanted}")]
    Size {
        /// As in [`Problem::Missing`].
        part: String,
        /// As in [`Problem::Missing`].
        name: String,
        /// Bytes in the archive.
        found: u64,
        /// Bytes by its descriptor.
        wanted: u64,
    },
    /// A part has other content.
    #[error("{part} (`{name}`) is damaged: its sha256 is {found}")]
    Digest {
        /// As in [`Problem::Missing`].
        part: String,
        /// As in [`Problem::Missing`].
        name: String,
        /// The hash of what is in the archive.
        found: String,
    },
    /// A part can't be understood.
    #[error("{part} can't be understood: {reason}")]
    Malformed {
        /// As in [`Problem::Missing`].
        part: String,
        /// Why.
        reason: String,
    },
    /// It is for other machines.
    #[error("it is for {found}, this machine is {wanted}")]
    Platform {
        /// `linux/arm64`, or several of these.
        found: String,
        /// `linux/amd64`.
        wanted: String,
    },
    /// A file of a new image can't be read.
    #[error("its file `{}` can't be read: {cause}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: String,
    },
    /// A part of a new image can't be understood.
    #[error("{0}")]
    Part(String),
    /// A program of a new image needs what isn't in there.
    #[error("`{}` is linked dynamically, and nothing but itself is in the image: link it statically", .0.display())]
    Dynamic(PathBuf),
    /// A path of a new image leads out of it.
    #[error("`{0}` is not a path inside an image")]
    Path(String),
}
