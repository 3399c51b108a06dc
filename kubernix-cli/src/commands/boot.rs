//! `up`, `plan`, and `kubernix` without a command, which boots, opens a shell, and destroys the
//! cluster.

use super::App;
use crate::cli::{BootArgs, UpArgs};
use crate::output::{self, outline};
use crate::program::{self, Program};
use crate::progress::Progress;
use crate::settings;
use anyhow::{Context, Result};
use kubernix_host::cluster::{Cluster, IfExists, UpReport};
use kubernix_host::pki::Renewal;
use kubernix_host::settings::{Place, Resolved, Settings};
use std::collections::BTreeSet;
use std::process::ExitCode;

impl App {
    pub(super) fn up(&self, args: &UpArgs) -> Result<()> {
        let renew: BTreeSet<Renewal> = args.renew.iter().copied().collect();
        let (place, report) = if args.fresh {
            self.bring_up(&settings::resolve_fresh(&self.flags, &args.boot)?, IfExists::Recreate, renew)?
        } else {
            self.until_current(|| {
                self.bring_up(&settings::resolve(&self.flags, &args.boot)?, IfExists::Update, renew.clone())
            })?
        };
        output::show(self.output(), &report, |report| match &report.changed {
            Some(started) => changed(report, started),
            None => self.next_steps(&place, report),
        })
    }

    /// Boots a cluster, opens a shell, and destroys the cluster after the shell's end. A cluster
    /// that existed before is stopped instead, to keep its data.
    pub(super) fn session(&self, args: &BootArgs) -> Result<ExitCode> {
        let resolved = settings::resolve(&self.flags, args)?;
        let Settings { name, root, .. } = &resolved.settings;
        let existed = Cluster::find(self.named(&Place { name: name.clone(), root: root.clone() })).is_ok();
        let (end, ended) = if existed { ("stop", "stopped") } else { ("destroy", "destroyed") };
        let (place, report) = self.bring_up(&resolved, IfExists::Refuse, BTreeSet::new())?;
        let cluster = Cluster::find(self.named(&place))?;
        log::info!("cluster `{}` is ready after {:.2} s; leave this shell to {end} it", report.name, report.seconds);
        let shell = super::access::environment(&place, &cluster)
            .and_then(|environment| Program::new(program::shell(), &[], environment).run());
        let progress = Progress::new(&self.flags);
        let down = if existed { cluster.stop(&*progress) } else { cluster.down(&*progress) };
        progress.finish();
        // If both fail, the shell's error is returned: the user saw it first.
        let status = match (shell, down) {
            (Ok(status), down) => down
                .map(|()| status)
                .with_context(|| format!("the shell ended, but the cluster couldn't be {ended}"))?,
            (Err(shell), Ok(())) => return Err(shell),
            (Err(shell), Err(down)) => {
                log::warn!("the cluster couldn't be {ended}: {down}");
                return Err(shell);
            }
        };
        log::info!("cluster `{}` is {ended}", place.name);
        Ok(ExitCode::from(program::code(status)))
    }

    pub(super) fn plan(&self, args: &BootArgs) -> Result<()> {
        let resolved = self.resolve(args)?;
        let host = self.host_with_warnings(&resolved.settings)?;
        let plan = host.plan(&resolved)?;
        output::show(self.output(), &plan, outline)
    }

    /// Boots a cluster that doesn't run yet.
    pub(super) fn boot(&self, args: &BootArgs) -> Result<(Place, UpReport)> {
        self.bring_up(&settings::resolve(&self.flags, args)?, IfExists::Refuse, BTreeSet::new())
    }

    /// Boots or changes a cluster, and shows the progress. The host reports notes on the settings.
    pub(super) fn bring_up(
        &self,
        resolved: &Resolved,
        if_exists: IfExists,
        renew: BTreeSet<Renewal>,
    ) -> Result<(Place, UpReport)> {
        let host = self.host(&resolved.settings)?;
        let place = Place { name: resolved.settings.name.clone(), root: resolved.settings.root.clone() };
        let progress = Progress::new(&self.flags);
        let report = host.up(resolved, if_exists, renew, progress.clone());
        progress.finish();
        Ok((place, report?))
    }

    /// The settings. Logs the notes on them as warnings.
    pub(super) fn resolve(&self, args: &BootArgs) -> Result<Resolved> {
        let resolved = settings::resolve(&self.flags, args)?;
        for note in &resolved.notes {
            log::warn!("{note}");
        }
        Ok(resolved)
    }

    pub(super) fn next_steps(&self, place: &Place, report: &UpReport) -> String {
        let UpReport { name, kubeconfig, api, merged, seconds, .. } = report;
        let steps = [
            (self.call("kubectl", place) + " -- get nodes", "kubectl on this cluster"),
            (self.call("shell", place), "a shell for this cluster"),
            (self.call("status", place), "the state of its components"),
            (self.call("timeline", place), "the time that each step took"),
            (self.call("stop", place), "stop it and keep its data"),
            (self.call("down", place), "destroy it"),
        ];
        let width = steps.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
        let steps: Vec<String> = steps.iter().map(|(command, what)| format!("  {command:width$}  # {what}")).collect();
        let kubeconfig = kubeconfig.display();
        let merged = merged.as_ref().map(|it| format!("{}\n", super::kubeconfig::merged(it))).unwrap_or_default();
        format!(
            "cluster `{name}` is ready after {seconds:.2} s\n\n\
             API         {api}\nkubeconfig  {kubeconfig}\n{merged}\nnext:\n{}\n",
            steps.join("\n")
        )
    }
}

/// The text for a cluster that ran already, and was changed.
fn changed(report: &UpReport, started: &[String]) -> String {
    let UpReport { name, kubeconfig, api, merged, seconds, .. } = report;
    let started = match started {
        [] => "no component was restarted".to_owned(),
        names => format!("started: {}", names.join(", ")),
    };
    let kubeconfig = kubeconfig.display();
    let merged = merged.as_ref().map(|it| format!("{}\n", super::kubeconfig::merged(it))).unwrap_or_default();
    format!(
        "cluster `{name}` is changed after {seconds:.2} s; {started}\n\n\
         API         {api}\nkubeconfig  {kubeconfig}\n{merged}"
    )
}
