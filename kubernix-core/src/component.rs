//! One part of a cluster.

use crate::{Binary, Command, Context, Parameter, Phase, Planner, Requirement, Result, Role, Scope};

/// A problem that `preflight` found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The boot can't succeed.
    pub fatal: bool,
    /// The problem, and how to solve it.
    pub message: String,
}

impl Finding {
    /// The boot can't succeed.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { fatal: true, message: message.into() }
    }

    /// The boot continues, and reports it.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { fatal: false, message: message.into() }
    }
}

/// One part of a cluster. A pure function of its context: the same context gives the same plan.
///
/// Every method may be called more than once and from any thread. A panic is caught at the boundary
/// and becomes an [`Error`](crate::Error). Methods with default bodies are optional; later minor
/// versions add more of them.
pub trait Component: Send + Sync + 'static {
    /// The unique name, lower case: `crio`. Directories, parameters and messages use it.
    fn name(&self) -> &str;

    /// The name in messages: `CRI-O`. An instance on a node is shown as `CRI-O (node 0)`.
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

    /// The roles that it needs. If empty, it waits for all components of earlier phases; otherwise
    /// for exactly these roles.
    fn requires(&self) -> Vec<Requirement> {
        Vec::new()
    }

    /// The binaries it runs, its own program first. [`Context::executable`] returns only these.
    fn binaries(&self) -> Vec<Binary> {
        Vec::new()
    }

    /// The parameters it reads.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Describes what the component needs to run. Called before a boot, once for each instance,
    /// after the plans of the components whose endpoints it requires. Must not change anything on
    /// the machine.
    ///
    /// # Errors
    /// A parameter has an invalid value, or the context lacks something.
    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()>;

    /// Checks the host before anything is started: limits, kernel features.
    ///
    /// # Errors
    /// The check itself failed.
    fn preflight(&self, _ctx: &Context<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// Runs on a graceful stop, before the component's processes get their stop signal. Every
    /// required component still runs.
    ///
    /// # Errors
    /// The error is reported, and the stop continues.
    fn before_stop(&self, _ctx: &Context<'_>) -> Result<()> {
        Ok(())
    }

    /// For components that fill `cri`: returns the command that imports an image from an archive
    /// under this name. `None`: not supported. The archive comes as `oci-archive:PATH[:REFERENCE]`
    /// (an OCI layout in a tar file), `oci:PATH[:REFERENCE]` (one in a directory) or
    /// `docker-archive:PATH[:REFERENCE]` (containers-transports(5)); PATH is absolute. REFERENCE
    /// selects an image of an archive that has several. The command runs beside the component's
    /// processes, once `cri` is ready. When it has exited, the image has to be listed by the CRI.
    ///
    /// # Errors
    /// The context lacks something that the command needs.
    fn import_image(&self, _ctx: &Context<'_>, _archive: &str, _name: &str) -> Result<Option<Command>> {
        Ok(None)
    }

    /// For components that fill `cri`: returns the command that removes an imported image from a
    /// read-only store, which CRI's own RemoveImage can't do. It runs like the command of
    /// [`Component::import_image`]. `None`: RemoveImage is enough.
    ///
    /// # Errors
    /// The context lacks something that the command needs.
    fn remove_image(&self, _ctx: &Context<'_>, _name: &str) -> Result<Option<Command>> {
        Ok(None)
    }
}
