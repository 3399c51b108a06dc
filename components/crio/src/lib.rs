//! The CRI-O component: fills `cri` on each node, with conmon, an OCI runtime and a CNI bridge.
//!
//! Nothing outside this crate knows CRI-O's name. It writes into the node's directory, and into the
//! volatile directory whatever is useless after the boot. It must not touch the host's
//! `/etc/containers`, `/etc/cni` or `/var/lib/containers`.

mod config;
mod layout;
mod network;
mod runtime;

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Command, Component, Context, Error, ErrorKind, Parameter, Phase, Planner, Probe, Process, Requirement,
    Result, Role, Scope, UnixSocket, roles,
};
use layout::Layout;

/// The image of each pod's pause container. The host builds and imports it; it is never pulled.
const PAUSE_IMAGE: &str = "kubernix.local/pause:1.0.0";

/// CRI-O.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crio;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Crio)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Crio);

impl Component for Crio {
    fn name(&self) -> &str {
        "crio"
    }

    fn title(&self) -> &str {
        "CRI-O"
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

    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::SANDBOX)]
    }

    fn binaries(&self) -> Vec<Binary> {
        let names = ["crio", "conmon", "pinns", "skopeo", "bridge", "host-local", "loopback", "kubernix"];
        names.map(Binary::from).into_iter().chain([Binary::from_parameter(runtime::PARAMETER)]).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("log-level", "info", "verbosity of the log").choice(&config::LOG_LEVELS),
            Parameter::new(runtime::PARAMETER, "runc", "the OCI runtime: runc, crun, or an absolute path"),
            Parameter::new("storage-driver", "auto", "how images are stored; auto: overlay if it can be mounted")
                .choice(&["auto", "overlay", "vfs"]),
            // Hooks have a time limit of a minute.
            Parameter::new("stop-timeout", "5", "seconds that pods have to exit when the cluster stops").number(1..=50),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let layout = Layout::new(ctx)?;
        let socket = layout.socket()?;

        for directory in layout.directories() {
            plan.directory(directory)?;
        }
        plan.file(layout.crio_conf(), config::crio_conf(ctx, &layout)?)?;
        plan.file(layout.policy(), config::POLICY)?;
        plan.file(layout.registries_conf(), config::registries_conf(ctx))?;
        plan.file(layout.storage_conf(), config::storage_conf(&layout))?;
        plan.file(layout.cni_conflist(), network::conflist(ctx, &layout)?)?;
        if let Some(script) = runtime::wrapper(ctx)? {
            plan.script(layout.runtime_wrapper(), script)?;
        }

        let process = Process::new("crio", ctx.executable("crio")?)
            .flags([
                ("config", layout.crio_conf().as_str()),
                // An empty directory instead of /etc/crio/crio.conf.d with the host's drop-ins.
                ("config-dir", ""),
                ("registries-conf", &layout.registries_conf()),
                ("registries-conf-dir", &layout.registries_conf_dir()),
            ])
            .env("CONTAINERS_STORAGE_CONF", layout.storage_conf());
        plan.process(process)?;
        plan.image(PAUSE_IMAGE)?;
        plan.provide(roles::CRI, socket.url(), Probe::cri(socket.path()))
    }

    /// Removes all pods: their containers get their signal and grace, and their mounts and
    /// addresses are released.
    fn before_stop(&self, ctx: &Context<'_>) -> Result<()> {
        let layout = Layout::new(ctx)?;
        // CRI-O gives containers the whole seconds that remain of a call's timeout. One more second
        // is for the clean-up.
        let seconds = (ctx.parameter_as::<u8>("stop-timeout")? + 1).to_string();
        let arguments = ["cri-client", layout.socket()?.path(), "remove-pods", &seconds].map(String::from);
        let output = ctx.run(&Command::new(ctx.executable("kubernix")?, arguments))?;
        if output.code == 0 {
            return Ok(());
        }
        let stderr = output.stderr.trim();
        Err(Error::new(ErrorKind::COMMAND, format!("removing all pods exited with {}: {stderr}", output.code)))
    }

    fn import_image(&self, ctx: &Context<'_>, archive: &str, name: &str) -> Result<Option<Command>> {
        let transports = ["oci-archive:/", "oci:/", "docker-archive:/"];
        if !transports.iter().any(|transport| archive.starts_with(transport)) {
            return Err(Error::invalid(format!(
                "`{archive}` isn't an archive: use oci-archive:PATH, oci:PATH or docker-archive:PATH with an absolute path"
            )));
        }
        let layout = Layout::new(ctx)?;
        let arguments = [
            format!("--policy={}", layout.policy()),
            format!("--tmpdir={}", layout.temporary()),
            "copy".into(),
            "--quiet".into(),
            archive.into(),
            format!("containers-storage:{}{name}", layout.image_store_spec()),
        ];
        Ok(Some(Command::new(ctx.executable("skopeo")?, arguments)))
    }

    /// Imported images are in a store that is read-only for CRI-O.
    fn remove_image(&self, ctx: &Context<'_>, name: &str) -> Result<Option<Command>> {
        let layout = Layout::new(ctx)?;
        let image = format!("containers-storage:{}{name}", layout.image_store_spec());
        let arguments = [format!("--policy={}", layout.policy()), "delete".into(), image];
        Ok(Some(Command::new(ctx.executable("skopeo")?, arguments)))
    }
}

#[cfg(test)]
mod tests;
