//! The components of a host, from any source. Each is described once, and calls to it have a time
//! limit.
//!
//! It must not know any component by name, nor what their plans are for.

use kubernix_core::abi::{AbiContext, Description, Handle};
use kubernix_core::{Command, Error, ErrorKind, Finding, Plan, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a component may take to describe itself, plan or examine the host: it only computes.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a hook may take. It runs commands, each with a limit of its own.
const HOOK_TIMEOUT: Duration = Duration::from_secs(180);

/// The number of parts of a time limit, see [`receive`].
const LIMIT_PARTS: u32 = 10;

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// Compiled into this `kubernix`.
    BuiltIn,
    /// A shared library.
    SharedLibrary {
        /// Its file.
        path: PathBuf,
    },
    /// A TOML file.
    Toml {
        /// Its file.
        path: PathBuf,
    },
    /// A manifest, or a directory of manifests.
    Manifests {
        /// The file or directory.
        path: PathBuf,
    },
}

impl Source {
    /// Its file, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::BuiltIn => None,
            Self::SharedLibrary { path } | Self::Toml { path } | Self::Manifests { path } => Some(path),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.pad("built in"),
            Self::SharedLibrary { path } | Self::Toml { path } | Self::Manifests { path } => {
                f.pad(&path.display().to_string())
            }
        }
    }
}

/// A component that can be used.
pub struct Registered {
    /// Its description.
    pub description: Description,
    /// Its version.
    pub version: String,
    /// Where it comes from.
    pub source: Source,
    handle: Arc<Handle>,
}

/// All components that can be used.
pub type Components = [Arc<Registered>];

impl Registered {
    /// Has a component describe itself.
    ///
    /// # Errors
    /// The description isn't valid, or the component panics or hangs. The error names its file.
    pub fn new(handle: Handle, version: impl Into<String>, source: Source) -> Result<Self> {
        let handle = Arc::new(handle);
        let description = call(&handle, &source, "describe", CALL_TIMEOUT, Handle::describe)?;
        Ok(Self { description, version: version.into(), source, handle })
    }

    /// A compiled-in component. It has the version of this program.
    ///
    /// # Errors
    /// As [`Registered::new`].
    pub fn built_in(handle: Handle) -> Result<Arc<Self>> {
        Self::new(handle, env!("CARGO_PKG_VERSION"), Source::BuiltIn).map(Arc::new)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Whether it can fill a role.
    pub fn provides(&self, role: &str) -> bool {
        self.description.provides.iter().any(|provided| provided.as_str() == role)
    }

    /// Its plan.
    ///
    /// # Errors
    /// It returns an error, panics or hangs.
    pub fn plan<C: AbiContext + 'static>(&self, ctx: &Arc<C>) -> Result<Plan> {
        let ctx = ctx.clone();
        self.call("plan", CALL_TIMEOUT, move |component| {
            let mut plan = Plan::default();
            component.plan(&*ctx, &mut plan).map(|()| plan)
        })
    }

    /// Its findings on this host.
    ///
    /// # Errors
    /// As [`Registered::plan`].
    pub fn preflight<C: AbiContext + 'static>(&self, ctx: &Arc<C>) -> Result<Vec<Finding>> {
        let ctx = ctx.clone();
        self.call("preflight", CALL_TIMEOUT, move |component| component.preflight(&*ctx))
    }

    /// Runs its hook before its processes are stopped. Blocks: the hook may run commands.
    ///
    /// # Errors
    /// As [`Registered::plan`].
    pub fn before_stop<C: AbiContext + 'static>(&self, ctx: &Arc<C>) -> Result<()> {
        let ctx = ctx.clone();
        self.call("before_stop", HOOK_TIMEOUT, move |component| component.before_stop(&*ctx))
    }

    /// The command that imports an image. Blocks: it may run commands.
    ///
    /// # Errors
    /// As [`Registered::plan`].
    pub fn import_image<C: AbiContext + 'static>(
        &self,
        ctx: &Arc<C>,
        archive: String,
        name: String,
    ) -> Result<Option<Command>> {
        let ctx = ctx.clone();
        self.call("import_image", HOOK_TIMEOUT, move |component| component.import_image(&*ctx, &archive, &name))
    }

    /// The command that removes an image which CRI's RemoveImage left.
    ///
    /// # Errors
    /// As [`Registered::plan`].
    pub fn remove_image<C: AbiContext + 'static>(&self, ctx: &Arc<C>, name: String) -> Result<Option<Command>> {
        let ctx = ctx.clone();
        self.call("remove_image", HOOK_TIMEOUT, move |component| component.remove_image(&*ctx, &name))
    }

    /// An error about its plan, with the file that it comes from.
    pub fn blame(&self, error: Error) -> Error {
        blame(&self.source, error)
    }

    fn call<T: Send + 'static>(
        &self,
        method: &'static str,
        limit: Duration,
        f: impl FnOnce(&Handle) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        call(&self.handle, &self.source, method, limit, f)
    }
}

/// Waits for a result. While this process is stopped (Ctrl-Z), at most one part of the limit
/// elapses, so that a component isn't reported as hanging because it couldn't run.
fn receive<T>(receiver: &Receiver<T>, limit: Duration) -> std::result::Result<T, RecvTimeoutError> {
    for _ in 1..LIMIT_PARTS {
        match receiver.recv_timeout(limit / LIMIT_PARTS) {
            Err(RecvTimeoutError::Timeout) => {}
            received => return received,
        }
    }
    receiver.recv_timeout(limit / LIMIT_PARTS)
}

/// Calls a component on a thread of its own. If it hangs, only that thread is lost.
fn call<T: Send + 'static>(
    handle: &Arc<Handle>,
    source: &Source,
    method: &'static str,
    limit: Duration,
    f: impl FnOnce(&Handle) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = channel();
    let handle = handle.clone();
    let thread = std::thread::Builder::new().name(format!("component {method}")).spawn(move || {
        // After the time limit, the receiver is gone.
        let _ = sender.send(f(&handle));
    });
    let result = match thread.map(|_| receive(&receiver, limit)) {
        Ok(Ok(result)) => result,
        Ok(Err(RecvTimeoutError::Timeout)) => {
            Err(Error::new(ErrorKind::OTHER, format!("`{method}` hangs: it didn't return within {limit:?}")))
        }
        // The component's side catches its panics, so this is one of the host.
        Ok(Err(RecvTimeoutError::Disconnected)) => {
            Err(Error::new(ErrorKind::PANIC, format!("`{method}` ended its thread")))
        }
        Err(error) => Err(Error::from_std(&error).context("can't start a thread")),
    };
    result.map_err(|error| blame(source, error))
}

fn blame(source: &Source, error: Error) -> Error {
    match source {
        Source::BuiltIn => error,
        file => error.context(format!("plugin {file}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::{Component, Context, Phase, Planner, Role, abi};

    /// Hangs in the method of this name.
    struct Hangs(&'static str);

    impl Component for Hangs {
        fn name(&self) -> &str {
            "hangs"
        }

        fn phase(&self) -> Phase {
            if self.0 == "phase" {
                std::thread::park_timeout(Duration::from_secs(600));
            }
            Phase::ADDON
        }

        fn provides(&self) -> Vec<Role> {
            vec!["dns".into()]
        }

        fn plan(&self, _: &Context<'_>, _: &mut Planner<'_>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_hanging_component_is_named_with_its_file() {
        let source = Source::SharedLibrary { path: "/p/libhangs.so".into() };
        let limit = Duration::from_millis(20);
        let handle = Arc::new(abi::component(Hangs("phase")));
        let error = call(&handle, &source, "describe", limit, Handle::describe).unwrap_err();
        assert_eq!(error.frames(), ["plugin /p/libhangs.so", "`describe` hangs: it didn't return within 20ms"]);
        let fine = Registered::new(abi::component(Hangs("")), "2.0.0", source).unwrap();
        assert_eq!((fine.name(), fine.version.as_str(), fine.provides("dns")), ("hangs", "2.0.0", true));
    }
}
