//! Implements the contract's `Component` for a TOML component.

use super::Declared;
use super::file::{CommandEntry, KindEntry, LivenessEntry, ParameterEntry, ProbeEntry, ProcessEntry};
use super::placeholder::Placeholder;
use super::render::Values;
use super::template::{Part, Template};
use kubernix_core::{
    Binary, Command, Component, Context, Error, ErrorKind, Finding, Liveness, Parameter, Phase, Planner, Probe,
    Process, Requirement, Result, Role, Scope,
};
use std::time::Duration;

/// The permissions of files and directories without `mode`.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

impl Component for Declared {
    fn name(&self) -> &str {
        self.head().name.get_ref()
    }

    fn title(&self) -> &str {
        self.head().title.as_deref().unwrap_or_else(|| self.name())
    }

    fn phase(&self) -> Phase {
        self.head().phase
    }

    fn scope(&self) -> Scope {
        self.head().scope
    }

    fn provides(&self) -> Vec<Role> {
        self.head().provides.iter().map(|role| role.get_ref().clone()).collect()
    }

    fn requires(&self) -> Vec<Requirement> {
        self.head().requires.iter().map(|need| need.get_ref().0.clone()).collect()
    }

    fn binaries(&self) -> Vec<Binary> {
        self.head().binaries.clone()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.document.parameters.iter().map(ParameterEntry::parameter).collect()
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let values = Values::new(ctx, &self.source, &self.head().binaries);
        self.files(values, plan)?;
        self.processes(values, plan)?;
        for entry in &self.document.provides {
            let probe = probe(values, entry.probe.get_ref())?;
            let done = plan.provide(entry.role.get_ref().as_str(), values.render(&entry.url)?, probe);
            done.map_err(|error| error.context(self.source.describe(entry.role.span().start)))?;
        }
        for entry in &self.document.manifests {
            for values in values.copies(&entry.repeat)? {
                let yaml = values.render_unless(entry.verbatim, &entry.yaml)?;
                self.at(&entry.name, plan.manifest(&values.render(&entry.name)?, yaml))?;
            }
        }
        for image in &self.document.images {
            self.at(image, plan.image(&values.render(image)?))?;
        }
        Ok(())
    }

    fn preflight(&self, ctx: &Context<'_>) -> Result<Vec<Finding>> {
        let values = Values::new(ctx, &self.source, &self.head().binaries);
        let mut findings = Vec::new();
        for entry in &self.document.preflight {
            // A fact that the host doesn't know isn't a finding.
            let Some(fact) = ctx.fact(&entry.fact) else { continue };
            if !entry.one_of.contains(&fact) {
                let message = values.render(&entry.message)?;
                findings.push(if entry.fatal { Finding::fatal(message) } else { Finding::warning(message) });
            }
        }
        Ok(findings)
    }

    fn before_stop(&self, ctx: &Context<'_>) -> Result<()> {
        let Some(entry) = &self.document.before_stop else { return Ok(()) };
        let command = command(Values::new(ctx, &self.source, &self.head().binaries), entry)?;
        let output = ctx.run(&command)?;
        if output.code == 0 {
            return Ok(());
        }
        let (position, stderr) = (self.source.describe(entry.program.span.start), output.stderr.trim());
        let program = &command.program;
        Err(Error::new(ErrorKind::COMMAND, format!("{position}: {program} exited with {}: {stderr}", output.code)))
    }

    fn import_image(&self, ctx: &Context<'_>, archive: &str, name: &str) -> Result<Option<Command>> {
        let values = Values::new(ctx, &self.source, &self.head().binaries).image(archive, name);
        self.document.import_image.as_ref().map(|entry| command(values, entry)).transpose()
    }

    fn remove_image(&self, ctx: &Context<'_>, name: &str) -> Result<Option<Command>> {
        let values = Values::new(ctx, &self.source, &self.head().binaries).image("", name);
        self.document.remove_image.as_ref().map(|entry| command(values, entry)).transpose()
    }
}

impl Declared {
    fn files(&self, values: Values<'_>, plan: &mut Planner<'_>) -> Result<()> {
        for entry in &self.document.directories {
            let mode = entry.mode.as_ref().map_or(DIRECTORY_MODE, |mode| *mode.get_ref());
            for values in values.copies(&entry.repeat)? {
                self.at(&entry.path, plan.directory_with_mode(values.render(&entry.path)?, mode))?;
            }
        }
        for entry in &self.document.files {
            let mode = entry.mode.as_ref().map_or(FILE_MODE, |mode| *mode.get_ref());
            for values in values.copies(&entry.repeat)? {
                let content = values.render_unless(entry.verbatim, &entry.content)?;
                self.at(&entry.path, plan.file_with_mode(values.render(&entry.path)?, content, mode))?;
            }
        }
        Ok(())
    }

    fn processes(&self, values: Values<'_>, plan: &mut Planner<'_>) -> Result<()> {
        for entry in &self.document.processes {
            for values in values.copies(&entry.repeat)? {
                self.at(&entry.program, plan.process(self.process(values, entry)?))?;
            }
        }
        Ok(())
    }

    fn process(&self, values: Values<'_>, entry: &ProcessEntry) -> Result<Process> {
        let mut process = Process::new(values.render(&entry.name)?, values.render(&entry.program)?)
            .directory(values.render(&entry.directory)?)
            .user(values.render(&entry.user)?);
        for template in &entry.args {
            process = match self.words_parameter(template) {
                Some(name) => process.args(values.words(name)?),
                None => process.arg(values.render(template)?),
            };
        }
        for (key, value) in &entry.env {
            process = process.env(key, values.render(value)?);
        }
        for (limit, value) in &entry.limits {
            process = process.limit(*limit, value.0);
        }
        if entry.one_shot {
            process = process.one_shot();
        }
        process.restart = entry.restart.unwrap_or(process.restart);
        process.stop_signal = entry.stop_signal.map_or(process.stop_signal, |signal| signal.0);
        process.stop_grace = entry.stop_grace_ms.map_or(process.stop_grace, Duration::from_millis);
        process.liveness = entry.liveness.as_ref().map(|entry| liveness(values, entry)).transpose()?;
        process.options = entry.options.clone();
        Ok(process)
    }

    /// The parameter of kind `words`, if the whole template is its placeholder. Each word becomes
    /// an argument.
    fn words_parameter<'t>(&self, template: &'t Template) -> Option<&'t str> {
        let mut parts = template.parts();
        let (Some(Part::Placeholder { name, .. }), None) = (parts.next(), parts.next()) else { return None };
        let Ok(Placeholder::Parameter(name)) = Placeholder::parse(name) else { return None };
        let is_words = |entry: &&ParameterEntry| entry.kind == KindEntry::Words && entry.name.get_ref() == name;
        self.document.parameters.iter().find(is_words).map(|_| name)
    }

    /// Adds the position of a template to an error.
    fn at(&self, template: &Template, result: Result<()>) -> Result<()> {
        result.map_err(|error| error.context(self.source.describe(template.span.start)))
    }
}

fn probe(values: Values<'_>, entry: &ProbeEntry) -> Result<Probe> {
    let mut probe = Probe::started().identity(values.render(&entry.identity)?);
    (probe.kind, probe.target) = (entry.kind, values.render(&entry.target)?);
    probe.arguments = values.render_all(&entry.arguments)?;
    for (key, value) in &entry.env {
        probe = probe.env(key, values.render(value)?);
    }
    probe.options = entry.options.clone();
    Ok(probe)
}

fn liveness(values: Values<'_>, entry: &LivenessEntry) -> Result<Liveness> {
    let mut liveness = Liveness::new(probe(values, entry.probe.get_ref())?);
    liveness.interval = entry.interval_ms.map_or(liveness.interval, Duration::from_millis);
    liveness.failures = entry.failures.unwrap_or(liveness.failures);
    Ok(liveness)
}

fn command(values: Values<'_>, entry: &CommandEntry) -> Result<Command> {
    Ok(Command::new(values.render(&entry.program)?, values.render_all(&entry.args)?))
}
