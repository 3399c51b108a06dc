//! The paths of containerd's files. It must not know their content.

use kubernix_core::{Context, Error, Result, UnixSocket};

/// The paths of one instance.
pub(crate) struct Layout {
    /// The directory that is kept when the cluster stops.
    dir: String,
    /// The directory that is empty at each boot.
    volatile: String,
    /// The socket of the CRI and of `ctr`.
    pub(crate) socket: UnixSocket,
}

impl Layout {
    /// The paths for this context.
    ///
    /// # Errors
    /// The socket's path is too long, or has a colon, which separates an archive's path from an
    /// image's name.
    pub(crate) fn new(ctx: &Context<'_>) -> Result<Self> {
        let dir = ctx.dir()?;
        if dir.contains(':') {
            return Err(Error::invalid(format!(
                "`{dir}` has a colon, which the path of an image archive can't have: use another --root"
            )));
        }
        let socket = UnixSocket::new(format!("{dir}/containerd.sock"))?;
        Ok(Self { dir, volatile: ctx.volatile_dir()?, socket })
    }

    pub(crate) fn config(&self) -> String {
        format!("{}/config.toml", self.dir)
    }

    pub(crate) fn conflist(&self) -> String {
        format!("{}/10-kubernix.conflist", self.cni())
    }

    pub(crate) fn policy(&self) -> String {
        format!("{}/policy.json", self.dir)
    }

    pub(crate) fn import_script(&self) -> String {
        format!("{}/import-image", self.dir)
    }

    pub(crate) fn stop_script(&self) -> String {
        format!("{}/stop-pods", self.dir)
    }

    pub(crate) fn cni(&self) -> String {
        format!("{}/cni", self.dir)
    }

    /// The directory with a directory for each registry that has mirrors.
    pub(crate) fn registries(&self) -> String {
        format!("{}/registries", self.dir)
    }

    /// Images and containers.
    pub(crate) fn content(&self) -> String {
        format!("{}/content", self.dir)
    }

    /// A file or directory that doesn't survive the boot.
    pub(crate) fn volatile(&self, name: &str) -> String {
        format!("{}/{name}", self.volatile)
    }
}
