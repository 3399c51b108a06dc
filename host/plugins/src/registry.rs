//! The components that a host has, wherever they come from: what each says of itself, read once,
//! and calls that can't hang.
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

/// How long a component may think about what it is, its plan or this host: it only calculates.
const THINKING: Duration = Duration::from_secs(10);
/// How long a hook may take that runs commands, each of which has a limit of its own.
const HOOK: Duration = Duration::from_secs(180);

/// Into how many parts a time limit is cut, see [`receive`].
const PARTS: u32 = 10;

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
    /// Its file, where it has one.
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
    /// What it says of itself.
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
    /// Asks a component what it is.
    ///
    /// # Errors
    /// It says what can't be, panics or hangs. The error names the file that it comes from.
    pub fn new(handle: Handle, version: impl Into<String>, source: Source) -> Result<Self> {
        let handle = Arc::new(handle);
        let description = call(&handle, &source, "describe", THINKING, Handle::describe)?;
        Ok(Self { description, version: version.into(), source, handle })
    }

    /// A component that is compiled in, which has the version of the whole.
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
    /// What it says, its panic, or that it took too long.
    pub fn plan<C: AbiContext + 'static>(&self, ctx: &Arc<C>) -> Result<Plan> {
        let ctx = ctx.clone();
        self.call("plan", THINKING, move |component| {
            let mut plan = Plan::default();
            component.plan(&*ctx, &mut plan).map(|()| plan)
        })
    }

    /// What it finds on this host.
    ///
    /// # Errors
    /// As [`Registered::plan`].
    pub fn preflight<C: AbiContext + 'static>(&self, ctx: &Arc<C>) -> Result<Vec<Finding>> {
        let ctx = ctx.clone();
        self.call("preflight", THINKING, move |component| component.preflight(&*ctx))
    }

    /// Does what comes before its processes are ended. Blocks: it may run commands.
    ///
    /// # Errors
    /// As [`Registered::plan`].
    pub fn before_stop<C: AbiContext + 'static>(&self, ctx: &Arc<C>) -> Result<()> {
        let ctx = ctx.clone();
        self.call("before_stop", HOOK, move |component| component.before_stop(&*ctx))
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
        self.call("import_image", HOOK, move |component| component.import_image(&*ctx, &archive, &name))
    }

    /// The command that removes an image which CRI's RemoveImage left.
    ///
    /// # Errors
    /// As [`Registered::plan`].
    pub fn remove_image<C: AbiContext + 'static>(&self, ctx: &Arc<C>, name: String) -> Result<Option<Command>> {
        let ctx = ctx.clone();
        self.call("remove_image", HOOK, move |component| component.remove_image(&*ctx, &name))
    }

    /// What is wrong with what it said, with the file that it comes from.
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

/// Waits for a result. Of the time for which this process is stopped (Ctrl-Z) at most one part of
/// the limit counts: a component doesn't hang because it can't run.
fn receive<T>(receiver: &Receiver<T>, limit: Duration) -> std::result::Result<T, RecvTimeoutError> {
    for _ in 1..PARTS {
        match receiver.recv_timeout(limit / PARTS) {
            Err(RecvTimeoutError::Timeout) => {}
            received => return received,
        }
    }
    receiver.recv_timeout(limit / PARTS)
}

/// Calls a component on a thread of its own, so that one that hangs costs that thread and nothing
/// else.
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
        // The receiver is gone once the time is up.
        let _ = sender.send(f(&handle));
    });
    let result = match thread.map(|_| receive(&receiver, limit)) {
        Ok(Ok(result)) => result,
        Ok(Err(RecvTimeoutError::Timeout)) => {
            Err(Error::new(ErrorKind::OTHER, format!("`{method}` hangs: it didn't return within {limit:?}")))
        }
        // Panics are caught on the component's side: this one is ours.
        Ok(Err(RecvTimeoutError::Disconnected)) => {
            Err(Error::new(ErrorKind::PANIC, format!("`{method}` ended its thread")))
        }
        Err(error) => Err(Error::from_std(&error).context("no thread can be started")),
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

    /// Hangs where it is told to.
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
    fn what_hangs_is_named_with_its_file() {
        let source = Source::SharedLibrary { path: "/p/libhangs.so".into() };
        let limit = Duration::from_millis(20);
        let handle = Arc::new(abi::component(Hangs("phase")));
        let error = call(&handle, &source, "describe", limit, Handle::describe).unwrap_err();
        assert_eq!(error.frames(), ["plugin /p/libhangs.so", "`describe` hangs: it didn't return within 20ms"]);
        let fine = Registered::new(abi::component(Hangs("")), "2.0.0", source).unwrap();
        assert_eq!((fine.name(), fine.version.as_str(), fine.provides("dns")), ("hangs", "2.0.0", true));
    }
}
