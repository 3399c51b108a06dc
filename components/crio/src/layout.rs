//! The paths of CRI-O's files and its stores of images. It must not know the files' content.

use crate::UnixSocket;
use kubernix_core::{Context, Error, Result, facts};

/// How containers' file systems are created from images' layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Layers on top of each other.
    Overlay,
    /// A full copy for each container: works everywhere, but slow.
    Vfs,
}

impl Driver {
    /// Its name in containers/storage.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Vfs => "vfs",
        }
    }

    fn choose(ctx: &Context<'_>) -> Result<Self> {
        match ctx.parameter("storage-driver")?.as_str() {
            "auto" if ctx.fact(facts::OVERLAY).as_deref() == Some("false") => Ok(Self::Vfs),
            "auto" | "overlay" => Ok(Self::Overlay),
            _ => Ok(Self::Vfs),
        }
    }
}

/// The paths of one instance.
pub(crate) struct Layout {
    /// The directory that is kept when the cluster stops.
    dir: String,
    /// The directory that all nodes share.
    shared: String,
    /// The directory that is empty at each boot.
    volatile: String,
    pub(crate) driver: Driver,
}

impl Layout {
    /// The layout for this context.
    ///
    /// # Errors
    /// A path has a character that references to image stores use as a separator.
    pub(crate) fn new(ctx: &Context<'_>) -> Result<Self> {
        let layout = Self {
            dir: ctx.dir()?,
            shared: ctx.shared_dir()?,
            volatile: ctx.volatile_dir()?,
            driver: Driver::choose(ctx)?,
        };
        for path in [&layout.dir, &layout.shared, &layout.volatile] {
            if let Some(c) = path.chars().find(|c| "@+:,[]".contains(*c)) {
                return Err(Error::invalid(format!(
                    "`{path}` has a `{c}`, which references to image stores use as a separator: choose another --root"
                )));
            }
        }
        Ok(layout)
    }

    pub(crate) fn socket(&self) -> Result<UnixSocket> {
        // conmon creates each container's attach socket in a directory named by its ID.
        UnixSocket::new(format!("{}/{}/attach", self.attach_sockets(), "0".repeat(64)))?;
        UnixSocket::new(format!("{}/crio.sock", self.dir))
    }

    pub(crate) fn crio_conf(&self) -> String {
        format!("{}/crio.conf", self.dir)
    }

    pub(crate) fn policy(&self) -> String {
        format!("{}/policy.json", self.dir)
    }

    pub(crate) fn registries_conf(&self) -> String {
        format!("{}/registries.conf", self.dir)
    }

    pub(crate) fn registries_conf_dir(&self) -> String {
        format!("{}/registries.conf.d", self.dir)
    }

    pub(crate) fn storage_conf(&self) -> String {
        format!("{}/storage.conf", self.dir)
    }

    pub(crate) fn cni_dir(&self) -> String {
        format!("{}/cni", self.dir)
    }

    pub(crate) fn cni_conflist(&self) -> String {
        format!("{}/10-kubernix.conflist", self.cni_dir())
    }

    pub(crate) fn runtime_wrapper(&self) -> String {
        format!("{}/oci-runtime", self.dir)
    }

    /// The store of containers and pulled images.
    pub(crate) fn storage(&self) -> String {
        format!("{}/storage", self.dir)
    }

    /// The store of imported images, shared by all nodes and read-only for CRI-O. CRI-O's repair of
    /// its own store after an unclean shutdown doesn't affect it, and a further node needs no new
    /// import.
    pub(crate) fn images(&self) -> String {
        format!("{}/images", self.shared)
    }

    pub(crate) fn temporary(&self) -> String {
        format!("{}/tmp", self.dir)
    }

    pub(crate) fn clean_shutdown_file(&self) -> String {
        format!("{}/clean.shutdown", self.dir)
    }

    pub(crate) fn logs(&self) -> String {
        format!("{}/logs", self.dir)
    }

    /// A directory or file that doesn't survive the boot.
    pub(crate) fn volatile(&self, name: &str) -> String {
        format!("{}/{name}", self.volatile)
    }

    /// Directly in the volatile directory, because the length of the path is limited, see
    /// [`Layout::socket`].
    pub(crate) fn attach_sockets(&self) -> String {
        self.volatile.clone()
    }

    /// Directories that CRI-O needs and doesn't create itself.
    pub(crate) fn directories(&self) -> [String; 5] {
        [self.storage(), self.images(), self.temporary(), self.registries_conf_dir(), self.volatile("run")]
    }

    /// The store of imported images, in the notation of containers-storage(5). It has its own run
    /// root, because two stores with the same run root confuse their mounts.
    pub(crate) fn image_store_spec(&self) -> String {
        let driver = self.driver.name();
        let options = match self.driver {
            // Otherwise the import would leave behind a bind mount of the store on itself.
            Driver::Overlay => ":overlay.skip_mount_home=true",
            Driver::Vfs => "",
        };
        format!("[{driver}@{}+{}{options}]", self.images(), self.volatile("import"))
    }
}
