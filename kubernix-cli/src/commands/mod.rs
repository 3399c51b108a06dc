//! The commands, one file per group. Each calls the host and shows the result. Must not know how
//! the host does it.

mod about;
mod access;
mod addon;
mod boot;
mod cluster;
mod component;
mod config;
mod down;
mod image;
mod kubeconfig;
mod logs;
mod node;
mod plugin;
mod plugin_check;
mod plugin_new;
mod port;
mod snapshot;
mod timeline;
mod toolchain;

use crate::cli::{
    AddonCommand, BootArgs, Cli, Command, ComponentCommand, ConfigCommand, Global, ImageCommand, KubeconfigCommand,
    Output, PluginCommand, PortCommand, SnapshotCommand, ToolchainCommand,
};
use crate::exit::{Exit, Refusal};
use crate::progress::Progress;
use crate::{registry, settings};
use anyhow::{Context, Result};
use kubernix_host::cluster::{Call, Cluster, Host, HostError, InUseError, State, Status};
use kubernix_host::plugins::Registry;
use kubernix_host::settings::{Place, Resolved, Settings};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

/// How often a change is tried while other commands change the cluster.
const ATTEMPTS: usize = 5;

/// The context of every command.
struct App {
    flags: Global,
    /// The command by which the user called this program, for advice in messages.
    program: String,
}

/// Runs a command.
///
/// # Errors
/// The command failed. [`Exit::of`] gives the exit code.
pub fn run(cli: Cli, program: String) -> Result<ExitCode> {
    let Cli { global: flags, boot, command } = cli;
    let app = App { flags, program };
    if command.is_some() && boot != BootArgs::default() {
        return Err(Refusal::error(Exit::Usage, "settings of a boot belong after the command: kubernix up --cidr ..."));
    }
    match command {
        None => return app.session(&boot),
        Some(Command::Up(args)) => app.up(&args)?,
        Some(Command::Status) => return app.status(),
        Some(Command::Kubectl(args)) => return app.kubectl(&args.args),
        Some(Command::Shell) => return app.shell(),
        Some(Command::Enter(args)) => return app.enter(&args),
        Some(Command::Logs(args)) => app.logs(&args)?,
        Some(Command::Stop) => app.stop()?,
        Some(Command::Down { all: false }) => app.down()?,
        Some(Command::Down { all: true }) => app.down_all()?,
        Some(Command::Rename { from, to }) => app.rename(&from, &to)?,
        Some(Command::List) => app.list()?,
        Some(Command::Plan(args)) => app.plan(&args)?,
        Some(Command::Timeline(args)) => app.timeline(&args)?,
        Some(Command::Addon(AddonCommand::List)) => app.addon_list()?,
        Some(Command::Addon(AddonCommand::Add(args))) => app.addon_add(&args)?,
        Some(Command::Addon(AddonCommand::Remove(args))) => app.addon_remove(&args)?,
        Some(Command::Node(command)) => app.node(&command)?,
        Some(Command::Port(PortCommand::Add { ports })) => app.port_add(&ports)?,
        Some(Command::Port(PortCommand::Remove { ports })) => app.port_remove(&ports)?,
        Some(Command::Port(PortCommand::List)) => app.port_list()?,
        Some(Command::Kubeconfig(KubeconfigCommand::Merge)) => app.kubeconfig_merge()?,
        Some(Command::Kubeconfig(KubeconfigCommand::Remove)) => app.kubeconfig_remove()?,
        Some(Command::Kubeconfig(KubeconfigCommand::Path)) => app.kubeconfig_path()?,
        Some(Command::Image(ImageCommand::Load { files })) => app.image_load(&files)?,
        Some(Command::Image(ImageCommand::BuildFrom { program, image, command })) => {
            app.image_build_from(&program, &image, &command)?;
        }
        Some(Command::Image(ImageCommand::Remove { names })) => app.image_remove(&names)?,
        Some(Command::Image(ImageCommand::List)) => app.image_list()?,
        Some(Command::Snapshot(SnapshotCommand::Save { file })) => app.snapshot_save(file.as_deref())?,
        Some(Command::Snapshot(SnapshotCommand::Restore { file, no_up, boot })) => {
            app.snapshot_restore(&file, no_up, &boot)?;
        }
        Some(Command::Snapshot(SnapshotCommand::List { directory })) => app.snapshot_list(directory.as_deref())?,
        Some(Command::Config(ConfigCommand::Show { all, boot })) => app.config_show(&boot, all)?,
        Some(Command::Config(ConfigCommand::Schema)) => app.config_schema()?,
        Some(Command::Config(ConfigCommand::Validate { file })) => return app.config_validate(&file),
        Some(Command::Toolchain(ToolchainCommand::Ensure { tools, boot })) => app.toolchain_ensure(&boot, &tools)?,
        Some(Command::Toolchain(ToolchainCommand::List)) => app.toolchain_list()?,
        Some(Command::Component(ComponentCommand::List(boot))) => app.component_list(&boot)?,
        Some(Command::Component(ComponentCommand::Replace(args))) => app.component_replace(&args)?,
        Some(Command::Plugin(PluginCommand::New { name, role })) => app.plugin_new(&name, role.as_deref())?,
        Some(Command::Plugin(PluginCommand::Check(args))) => app.plugin_check(&args)?,
        Some(Command::Plugin(PluginCommand::Manifest { library, write })) => app.plugin_manifest(&library, write)?,
        Some(Command::Plugin(PluginCommand::List { search })) => app.plugin_list(&search)?,
        Some(Command::Plugin(PluginCommand::Info { name, search })) => app.plugin_info(&name, &search)?,
        Some(Command::Plugin(PluginCommand::Install { source, to })) => app.plugin_install(&source, &to)?,
        Some(Command::Plugin(PluginCommand::Remove { name, from })) => app.plugin_remove(&name, &from)?,
        Some(Command::Version) => app.version()?,
        Some(Command::Completions { shell }) => app.completions(shell)?,
        Some(Command::Man { dir }) => app.man(dir.as_deref())?,
    }
    Ok(Exit::Ok.into())
}

impl App {
    fn output(&self) -> Output {
        self.flags.output
    }

    /// The host with the compiled-in components, and the plugins that these settings select.
    fn host(&self, settings: &Settings) -> Result<Host> {
        let executable = std::env::current_exe().context("can't find the path of kubernix itself")?;
        let mut registry = Registry::gather(registry::components()?, &settings.plugin_search());
        registry
            .add_manifests(&settings.addon_files)
            .map_err(|error| Refusal::error(Exit::Usage, error.to_string()))?;
        Ok(Host { registry, executable, program: self.program.clone() })
    }

    /// As [`App::host`], for commands in which the host doesn't report unused plugins itself.
    fn host_with_warnings(&self, settings: &Settings) -> Result<Host> {
        let host = self.host(settings)?;
        host.registry.problems().for_each(|problem| log::warn!("{problem}; this plugin is not used"));
        Ok(host)
    }

    /// Repeats a change if another command has changed the cluster since its settings were read.
    fn until_current<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        for _ in 0..ATTEMPTS {
            match attempt() {
                Err(error) if matches!(error.downcast_ref(), Some(HostError::InUse(InUseError::Changing(_)))) => {
                    log::info!("another command has changed the cluster: retrying with its new settings");
                }
                result => return result,
            }
        }
        attempt()
    }

    /// Changes the selected cluster, which must run. Repeats `attempt` with new settings if another
    /// command has changed the cluster meanwhile. Shows each note on the settings once. Returns the
    /// result of `attempt`, and the total time in seconds.
    fn change<T>(
        &self,
        args: &BootArgs,
        attempt: impl Fn(&mut Resolved, &Progress) -> Result<T>,
    ) -> Result<(Place, T, f64)> {
        let (place, _) = self.running()?;
        let begun = Instant::now();
        let mut shown = BTreeSet::new();
        let value = self.until_current(|| {
            let mut resolved = settings::resolve(&self.flags, args)?;
            // Removed from the settings, so that the host doesn't show them too. Shown first,
            // because they may explain an error.
            for note in std::mem::take(&mut resolved.notes) {
                if shown.insert(note.clone()) {
                    log::info!("{note}");
                }
            }
            let progress = Progress::new(&self.flags);
            let result = attempt(&mut resolved, &progress);
            progress.finish();
            result
        })?;
        Ok((place, value, begun.elapsed().as_secs_f64()))
    }

    /// The selected cluster, running or stopped.
    fn cluster(&self) -> Result<(Place, Cluster)> {
        let place = settings::locate(&self.flags)?;
        let cluster = Cluster::find(self.named(&place))?;
        Ok((place, cluster))
    }

    /// The selected cluster in any condition, even if it can only be inspected and ended.
    fn any_cluster(&self) -> Result<(Place, Cluster)> {
        let place = settings::locate(&self.flags)?;
        let cluster = Cluster::find_any(self.named(&place))?;
        Ok((place, cluster))
    }

    /// The selected cluster, which must run.
    fn running(&self) -> Result<(Place, Cluster)> {
        let (place, cluster) = self.cluster()?;
        let up = self.call("up", &place);
        let status = cluster.quick_status()?;
        let refused = match status.state {
            // Also with a restarting component, because the others work.
            State::Running | State::Degraded | State::Changing | State::Starting => return Ok((place, cluster)),
            State::Stopping => format!("cluster `{}` is being stopped: `{up}` starts it again afterwards", place.name),
            State::Stopped => format!("cluster `{}` is stopped: start it with `{up}`", place.name),
            State::Broken => format!(
                "cluster `{}` runs, but didn't answer in time: `{}` shows the cause",
                place.name,
                self.call("status", &place)
            ),
            State::Damaged | State::Orphaned => self.only_down(&place, &status),
        };
        Err(Refusal::error(Exit::NotRunning, refused))
    }

    /// The message for a cluster that can only be ended.
    fn only_down(&self, place: &Place, status: &Status) -> String {
        format!(
            "cluster `{}` is {}: {}; `{}` ends its processes and removes its files",
            place.name,
            status.state,
            status.problems.join("; "),
            self.call("down", place)
        )
    }

    /// The command line of a command on this cluster.
    fn call(&self, command: &str, place: &Place) -> String {
        self.named(place).to(command)
    }

    /// The cluster with these settings, for advice in messages.
    fn named_by(&self, resolved: &Resolved) -> Call {
        Call::new(&self.program, &resolved.settings.name, &resolved.settings.root)
    }

    /// The cluster of a place, for advice in messages.
    fn named(&self, place: &Place) -> Call {
        Call::new(&self.program, &place.name, &place.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn settings_before_a_command_are_rejected() {
        let cli = Cli::try_parse_from(["kubernix", "--cidr", "10.1.0.0/16", "up"]).unwrap();
        let error = run(cli, "kubernix".into()).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
    }

    #[test]
    fn down_all_rejects_a_name() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().to_str().unwrap();
        let down = |args: &[&str]| {
            let args = [&["kubernix", "down", "--all", "--root", root][..], args].concat();
            run(Cli::try_parse_from(args).unwrap(), "kubernix".into())
        };
        assert_eq!(Exit::of(&down(&["--name", "a"]).unwrap_err()), Exit::Usage);
        assert!(down(&[]).is_ok(), "no clusters are no error");
    }

    #[test]
    fn a_missing_cluster_has_its_exit_code() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().to_str().unwrap();
        for command in ["status", "stop", "down", "shell", "timeline"] {
            let cli = Cli::try_parse_from(["kubernix", command, "--root", root, "--name", "missing"]).unwrap();
            let error = run(cli, "kubernix".into()).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::NotRunning, "{command}: {error:#}");
        }
    }
}
