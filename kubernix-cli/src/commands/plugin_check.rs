//! `plugin check`: runs the conformance kit, and with `--live` boots a cluster with the checked
//! component.

use super::App;
use crate::check::{self, Checked, inside, live};
use crate::cli::{BootArgs, CheckArgs, Global, Output};
use crate::exit::{Exit, Refusal};
use crate::output;
use crate::program::Program;
use crate::progress::Progress;
use anyhow::{Context, Result};
use kubernix_host::chain;
use kubernix_host::cluster::{Call, Cluster};
use kubernix_host::images::PAUSE_IMAGE;
use kubernix_host::settings::Place;
use kubernix_testkit::kit::{CheckResult, Outcome};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

impl App {
    pub(super) fn plugin_check(&self, args: &CheckArgs) -> Result<()> {
        if args.live && !nix::unistd::geteuid().is_root() {
            let why = "--live boots a cluster, which needs root: run it with sudo, or omit --live";
            return Err(Refusal::error(Exit::NotPermitted, why));
        }
        let mut all = check::plugins(&args.path);
        if all.is_empty() {
            let why = format!("there is no plugin at `{}`: neither a libX.so nor an X.toml", args.path.display());
            return Err(Refusal::error(Exit::Usage, why));
        }
        for one in all.iter_mut().filter(|one| one.loads()) {
            let results = self.check_in_host(args, one)?;
            one.report.checks.extend(results);
        }
        output::show(self.output(), &all, |all| all.iter().map(|one| table(one, all.len() > 1)).collect::<String>())?;
        let bad: Vec<&str> =
            all.iter().filter(|one| !one.report.passed()).map(|one| one.report.component.as_str()).collect();
        match bad[..] {
            [] => Ok(()),
            [..] => Err(Refusal::error(Exit::Failure, format!("plugins that don't conform: {}", bad.join(", ")))),
        }
    }

    /// Checks the component in this host, in addition to the simulated hosts of the kit: its plan,
    /// and with `--live` its boot, its roles and its stop.
    fn check_in_host(&self, args: &CheckArgs, checked: &Checked) -> Result<Vec<CheckResult>> {
        let base = tempfile::Builder::new()
            .prefix("kubernix-check")
            .tempdir()
            .context("can't create a temporary directory")?;
        let place = Place { name: "check".to_owned(), root: base.path().to_owned() };
        let flags = Global { output: Output::Text, ..self.flags.clone().of(&place) };
        let app = App { flags, program: self.program.clone() };
        // Only this file: other plugins in its directory may fill the same roles.
        let more = args.boot.settings.plugins.clone().unwrap_or_default();
        let plugins = BootArgs::of_plugins([vec![checked.file.clone()], more].concat());
        let with_plugin = BootArgs { settings: args.boot.settings.clone().with(plugins.settings), ..args.boot.clone() };
        let resolved = crate::settings::resolve(&app.flags, &with_plugin)?;
        let host = app.host(&resolved.settings)?;
        let name = &checked.report.component;
        let with = |slots: Vec<String>| {
            let mut boot = with_plugin.clone();
            boot.sets.set.splice(0..0, slots);
            boot
        };
        let filled = host.filled(&crate::settings::resolve(&app.flags, &with(live::own_slots(&host, name)))?.settings);
        let filled = match filled {
            Ok(filled) => filled,
            Err(error) => return Ok(vec![live::result(live::PLANS, Err(chain(&error)))]),
        };
        let alone = with(live::slots(&host, &filled, name));
        let plan = host.plan(&crate::settings::resolve(&app.flags, &alone)?);
        let mut results = vec![live::result(live::PLANS, plan.as_ref().map(drop).map_err(|error| chain(error)))];
        let roles = live::roles(&checked.roles);
        match plan {
            _ if !args.live => results.push(live::skipped("only with --live, which boots it")),
            Ok(plan) if checked.report.passed() => {
                // A component whose roles are checked directly boots with its requirements only.
                // Any other component boots in a complete cluster, because its use by other
                // components is unknown.
                let boot = if roles.is_empty() { with(live::own_slots(&host, name)) } else { alone };
                results.extend(app.boot_and_check(&boot, base, checked, &roles, &plan)?);
            }
            _ => results.push(live::skipped("a component that failed a check above isn't booted")),
        }
        Ok(results)
    }

    fn boot_and_check(
        &self,
        boot: &BootArgs,
        base: TempDir,
        checked: &Checked,
        roles: &[&str],
        plan: &Value,
    ) -> Result<Vec<CheckResult>> {
        let place = match self.boot(boot) {
            Ok((place, _)) => place,
            Err(error) if Exit::of(&error) == Exit::Interrupted => return Err(error),
            Err(error) => return Ok(vec![live::result(live::BOOTS, Err(format!("{error:#}")))]),
        };
        let call = Call::new(&self.program, &place.name, &place.root);
        let cluster = Cluster::find(call.clone())?;
        let checks = roles.iter().map(|role| {
            let url = live::url(plan, &checked.report.component, role);
            check_role(&cluster, base.path(), role, url.with_context(|| format!("the plan has no URL for `{role}`"))?)
        });
        let role_results: Result<Vec<Vec<CheckResult>>> = checks.collect();
        let progress = Progress::new(&self.flags);
        let stopped = cluster.stop(&*progress).map_err(|error| chain(&error));
        let down = cluster.down(&*progress);
        progress.finish();
        if let Err(error) = down {
            // The advised command needs the cluster's directory.
            let _kept = base.keep();
            return Err(error).with_context(|| format!("the cluster still exists: `{}` destroys it", call.to("down")));
        }
        let (boots, stops) = (live::result(live::BOOTS, Ok(())), live::result(live::STOPS, stopped));
        Ok([vec![boots], role_results?.concat(), vec![stops]].concat())
    }
}

/// Runs the checks of a role inside the cluster, where its addresses are reachable.
fn check_role(cluster: &Cluster, base: &Path, role: &str, url: &str) -> Result<Vec<CheckResult>> {
    let own = std::env::current_exe().context("can't find the path of kubernix itself")?;
    let results = base.join(format!("{role}.json"));
    let mut args: Vec<std::ffi::OsString> = ["enter", "--name", cluster.name(), "--root"].map(Into::into).into();
    args.extend([base.into(), "--".into(), own.clone().into_os_string()]);
    args.extend(inside::arguments(role, url, &cluster.root().pki(), PAUSE_IMAGE, &results));
    let none: [(&str, &str); 0] = [];
    let status = Program::new(own, &args, none).run()?;
    inside::read(role, &results).map_err(|error| {
        let interrupted = crate::program::code(status) == 130;
        let exit = if interrupted { Exit::Interrupted } else { Exit::Failure };
        Refusal::error(exit, format!("the checks of role `{role}` weren't completed ({status}): {error}"))
    })
}

/// The report of one plugin, with its file if there are several.
fn table(checked: &Checked, among_others: bool) -> String {
    let file = if among_others { format!("{}\n", checked.file.display()) } else { String::new() };
    let failed = |result: &&CheckResult| matches!(result.outcome, Outcome::Failed { .. });
    let end = match checked.report.checks.iter().filter(failed).count() {
        0 => "it conforms",
        _ => "it doesn't conform; docs/conformance.md describes each check",
    };
    format!("{file}{}: {end}\n", checked.report)
}
