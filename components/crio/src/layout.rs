//! Where CRI-O's files lie and how its images are stored. It must not know what is in the files.

use crate::UnixSocket;
use kubernix_core::{Context, Error, Result, facts};

/// How containers' file systems are made out of images' layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Layers on top of each other.
    Overlay,
    /// A copy of everything for each container: works everywhere, slow.
    Vfs,
}

impl Driver {
    /// The name that containers/storage has for it.
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
    /// What outlives a stop.
    dir: String,
    /// What all nodes have in common.
    shared: String,
    /// What doesn't outlive a boot.
    volatile: String,
    pub(crate) driver: Driver,
}

impl Layout {
    /// The layout in this context.
    ///
    /// # Errors
    /// A path that can't be written in a reference to an image store.
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
        // conmon puts each container's attach socket into a directory named by its ID.
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

    /// Containers, and images that were pulled.
    pub(crate) fn storage(&self) -> String {
        format!("{}/storage", self.dir)
    }

    /// Imported images: one store for all nodes that CRI-O only reads, so that what it does to its
    /// own after an unclean shutdown leaves them alone, and a further node costs none of them
    /// again.
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

    /// A directory or file that is gone at the next boot.
    pub(crate) fn volatile(&self, name: &str) -> String {
        format!("{}/{name}", self.volatile)
    }

    /// Directly in the volatile directory: each byte counts, see [`Layout::socket`].
    pub(crate) fn attach_sockets(&self) -> String {
        self.volatile.clone()
    }

    /// What has to be there before CRI-O starts and it doesn't make itself.
    pub(crate) fn directories(&self) -> [String; 5] {
        [self.storage(), self.images(), self.temporary(), self.registries_conf_dir(), self.volatile("run")]
    }

    /// The store of imported images as containers-storage(5) writes it. It has a run root of its
    /// own: two stores that share one mix up what is mounted.
    pub(crate) fn image_store_spec(&self) -> String {
        let driver = self.driver.name();
        let options = match self.driver {
            // Or the import would leave a bind mount of the store on itself behind.
            Driver::Overlay => ":overlay.skip_mount_home=true",
            Driver::Vfs => "",
        };
        format!("[{driver}@{}+{}{options}]", self.images(), self.volatile("import"))
    }
}
