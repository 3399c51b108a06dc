//! One part of a cluster.

use crate::{Binary, Command, Context, Parameter, Phase, Planner, Requirement, Result, Role, Scope};

/// Something that `preflight` found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The boot can't succeed.
    pub fatal: bool,
    /// What was found and what to do about it.
    pub message: String,
}

impl Finding {
    /// The boot can't succeed.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { fatal: true, message: message.into() }
    }

    /// Worth knowing; the boot goes on.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { fatal: false, message: message.into() }
    }
}

/// One part of a cluster. A pure function of its context: the same context gives the same plan.
///
/// Every method may be called more than once and from any thread; a panic is caught at the boundary
/// and becomes an [`Error`](crate::Error). Methods with default bodies are optional; later minor
/// versions add more of them.
pub trait Component: Send + Sync + 'static {
    /// The unique name, lower case: `crio`. Directories, parameters and messages use it.
    fn name(&self) -> &str;

    /// The name that people read: `CRI-O`. An instance on a node reads `CRI-O (node 0)`.
    fn title(&self) -> &str {
        self.name()
    }

    /// The step of the boot order it belongs to.
    fn phase(&self) -> Phase;

    /// How many instances a cluster has.
    fn scope(&self) -> Scope {
        Scope::CLUSTER
    }

    /// The roles that it fills. Its plan must provide each of them.
    fn provides(&self) -> Vec<Role>;

    /// The roles that it needs. Empty: it waits for all that earlier phases hold; otherwise for
    /// exactly these.
    fn requires(&self) -> Vec<Requirement> {
        Vec::new()
    }

    /// The binaries it runs, its own program first. Only these are in [`Context::executable`].
    fn binaries(&self) -> Vec<Binary> {
        Vec::new()
    }

    /// The parameters it reads.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Says what has to be there for the component to run. Called before a boot, once for each
    /// instance, after the plans of the components whose endpoints it requires. Must not touch the
    /// machine.
    ///
    /// # Errors
    /// A parameter that doesn't fit, or something missing from the context.
    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()>;

    /// Looks at the host before anything is started: limits, kernel features.
    ///
    /// # Errors
    /// The look itself failed.
    fn preflight(&self, _ctx: &Context<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// Runs before the component's processes are asked to end on a graceful stop; all that it
    /// requires still runs.
    ///
    /// # Errors
    /// Reported; the stop goes on.
    fn before_stop(&self, _ctx: &Context<'_>) -> Result<()> {
        Ok(())
    }

    /// For components that fill `cri`: the command that imports an image of an archive under this
    /// name. The archive comes as `oci-archive:PATH[:REFERENCE]` (an OCI layout in a tar file),
    /// `oci:PATH[:REFERENCE]` (one in a directory) or `docker-archive:PATH[:REFERENCE]`
    /// (containers-transports(5)); PATH is absolute, REFERENCE says which image where there are
    /// more. The command runs beside the component's processes, once `cri` is ready; when it ends,
    /// the CRI has to know the image. `None`: it can't.
    ///
    /// # Errors
    /// The command can't be made from this context.
    fn import_image(&self, _ctx: &Context<'_>, _archive: &str, _name: &str) -> Result<Option<Command>> {
        Ok(None)
    }

    /// For components that fill `cri`: the command that removes an imported image which CRI's own
    /// RemoveImage left, because it lies where the runtime only reads. Runs as that of
    /// [`Component::import_image`] does. `None`: RemoveImage removes all.
    ///
    /// # Errors
    /// The command can't be made from this context.
    fn remove_image(&self, _ctx: &Context<'_>, _name: &str) -> Result<Option<Command>> {
        Ok(None)
    }
}
