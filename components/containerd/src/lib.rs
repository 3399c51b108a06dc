//! The containerd component: fills `cri` on each node with containerd, an OCI runtime and a CNI
//! bridge.
//!
//! A component is a pure function of its context: it returns a plan (files, processes, probes),
//! which KuberNix executes. It writes into the instance's directory, and into the volatile
//! directory whatever is useless after the boot. It must not touch the host's `/etc/containerd`,
//! `/etc/cni`, `/opt` or `/var/lib/containerd`.

mod config;
mod layout;
mod registries;
mod scripts;

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Command, Component, Context, Error, ErrorKind, Parameter, Phase, Planner, Probe, Process, Requirement,
    Result, Role, Scope, roles,
};
use layout::Layout;

/// The component's name, which is also its directory and its slot's value.
const NAME: &str = "containerd";

/// The component.
#[derive(Debug, Clone, Copy, Default)]
pub struct Containerd;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Containerd)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Containerd);

impl Component for Containerd {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::CONTROLLER
    }

    fn scope(&self) -> Scope {
        Scope::NODE
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::CRI.into()]
    }

    // It needs no other component, so it starts in parallel with the API server.
    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::SANDBOX)]
    }

    // Its own program first, which `--set NAME.binary=PATH` replaces. The manifest has the same
    // list.
    fn binaries(&self) -> Vec<Binary> {
        let own = ["containerd", "containerd-shim-runc-v2", "ctr", "skopeo", "kubernix"];
        let all = own.into_iter().chain(config::CNI_PLUGINS).chain(["nft"]).map(Binary::from);
        all.chain([Binary::from_parameter(config::RUNTIME)]).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("log-level", "info", "verbosity of the log").choice(&config::LOG_LEVELS),
            Parameter::new(config::RUNTIME, "runc", "the OCI runtime: runc, crun, or an absolute path"),
            // Hooks have a time limit of a minute.
            Parameter::new("stop-timeout", "5", "seconds that containers have to exit when the cluster stops")
                .number(1..=50),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let layout = Layout::new(ctx)?;

        plan.directory(layout.content())?;
        plan.file(layout.config(), config::containerd(ctx, &layout)?)?;
        plan.file(layout.conflist(), config::conflist(ctx, &layout)?)?;
        plan.file(layout.policy(), scripts::POLICY)?;
        for (name, mirrors) in ctx.registries() {
            let hosts = registries::hosts(&name, &mirrors)?;
            plan.file(format!("{}/{name}/hosts.toml", layout.registries()), hosts)?;
        }
        plan.script(layout.import_script(), scripts::import(ctx, &layout)?)?;
        plan.script(layout.stop_script(), scripts::stop(ctx, &layout)?)?;

        let process = Process::new("containerd", ctx.executable("containerd")?)
            .flags([("config", layout.config()), ("log-level", ctx.parameter("log-level")?)]);
        plan.process(process)?;
        plan.image(config::PAUSE_IMAGE)?;
        // For ctr and nerdctl in users' shells; the host configures crictl.
        plan.variable("CONTAINERD_ADDRESS", layout.socket.path())?;
        plan.variable("CONTAINERD_NAMESPACE", config::NAMESPACE)?;
        plan.provide(roles::CRI, layout.socket.url(), Probe::cri(layout.socket.path()))
    }

    /// Runs while the API server still runs, so that pods' exits are recorded.
    fn before_stop(&self, ctx: &Context<'_>) -> Result<()> {
        let output = ctx.run(&Command::new(Layout::new(ctx)?.stop_script(), [""; 0]))?;
        if output.code == 0 {
            return Ok(());
        }
        let stderr = output.stderr.trim();
        Err(Error::new(ErrorKind::COMMAND, format!("stop-pods exited with {}: {stderr}", output.code)))
    }

    fn import_image(&self, ctx: &Context<'_>, archive: &str, name: &str) -> Result<Option<Command>> {
        // ctr would read it as an option.
        if name.starts_with('-') {
            return Err(Error::invalid(format!("`{name}` isn't the name of an image")));
        }
        Ok(Some(Command::new(Layout::new(ctx)?.import_script(), [archive, name])))
    }
}

#[cfg(test)]
mod tests;
