//! The host's view of a component: plain types in and out, whether it is compiled in or loaded.

use super::host_side::{with_context, with_planner};
use super::options::check_parameter;
use super::{AbiContext, AbiPlanner, ComponentBox, adapter};
use crate::{Binary, Command, Component, Error, Finding, Parameter, Phase, Requirement, Result, Role, Scope, is_name};

/// The checked description of a component. [`Component`] documents each field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its unique name, a DNS label.
    pub name: String,
    /// The name in messages.
    pub title: String,
    /// The step of the boot order.
    pub phase: Phase,
    /// How many instances there are.
    pub scope: Scope,
    /// Roles that it fills: at least one.
    pub provides: Vec<Role>,
    /// Roles that it needs.
    pub requires: Vec<Requirement>,
    /// Binaries that it runs, its own program first.
    pub binaries: Vec<Binary>,
    /// Parameters that it reads.
    pub parameters: Vec<Parameter>,
}

/// A component as the host uses it. Every call is guarded on both sides: a panic of either becomes
/// an error.
pub struct Handle(ComponentBox);

/// Wraps a compiled-in component like a loaded one.
pub fn component<C: Component>(component: C) -> Handle {
    Handle(adapter::boxed(component))
}

impl From<ComponentBox> for Handle {
    fn from(component: ComponentBox) -> Self {
        Self(component)
    }
}

impl Handle {
    /// Returns the component's description. Rejects names that aren't DNS labels, duplicate names,
    /// and a component without roles.
    ///
    /// # Errors
    /// The component panicked, or its description is invalid.
    pub fn describe(&self) -> Result<Description> {
        let name = String::from(self.0.name().into_result()?);
        label("its name", &name)?;
        let of = |error: Error| error.context(format!("component `{name}`"));
        let binaries = self.0.binaries().into_result()?.into_iter().map(Binary::try_from);
        let parameters = self.0.parameters().into_result()?.into_iter().map(Parameter::try_from);
        let description = Description {
            title: self.0.title().into_result()?.into(),
            phase: self.0.phase().into_result()?,
            scope: self.0.scope().into_result()?,
            provides: self.0.provides().into_result()?.into_iter().map(Role::new).collect(),
            requires: self.0.requires().into_result()?.into_iter().map(Requirement::from).collect(),
            binaries: binaries.collect::<Result<_>>().map_err(of)?,
            parameters: parameters.collect::<Result<_>>().map_err(of)?,
            name: name.clone(),
        };
        description.check().map_err(of)?;
        Ok(description)
    }

    /// Runs the component's `plan` with a planner.
    ///
    /// # Errors
    /// The component's error, or its panic.
    pub fn plan(&self, ctx: &dyn AbiContext, planner: &mut dyn AbiPlanner) -> Result<()> {
        let planned = with_context(ctx, |ctx| with_planner(planner, |planner| self.0.plan(ctx, planner)));
        Ok(planned.into_result()?)
    }

    /// Runs the component's checks of the host.
    ///
    /// # Errors
    /// As [`Handle::plan`].
    pub fn preflight(&self, ctx: &dyn AbiContext) -> Result<Vec<Finding>> {
        let findings = with_context(ctx, |ctx| self.0.preflight(ctx)).into_result()?;
        Ok(findings.into_iter().map(Finding::from).collect())
    }

    /// Runs the component's hook before its processes are stopped.
    ///
    /// # Errors
    /// As [`Handle::plan`].
    pub fn before_stop(&self, ctx: &dyn AbiContext) -> Result<()> {
        Ok(with_context(ctx, |ctx| self.0.before_stop(ctx)).into_result()?)
    }

    /// Returns the component's command that imports an image.
    ///
    /// # Errors
    /// As [`Handle::plan`].
    pub fn import_image(&self, ctx: &dyn AbiContext, archive: &str, name: &str) -> Result<Option<Command>> {
        let command = with_context(ctx, |ctx| self.0.import_image(ctx, archive.into(), name.into()));
        Ok(command.into_result()?.map(Command::from).into_option())
    }

    /// Returns the command that removes an image which CRI's RemoveImage can't remove.
    ///
    /// # Errors
    /// As [`Handle::plan`].
    pub fn remove_image(&self, ctx: &dyn AbiContext, name: &str) -> Result<Option<Command>> {
        let command = with_context(ctx, |ctx| self.0.remove_image(ctx, name.into()));
        Ok(command.into_result()?.map(Command::from).into_option())
    }
}

impl Description {
    fn check(&self) -> Result<()> {
        if self.title.trim().is_empty() || self.title.contains(char::is_control) {
            return Err(Error::invalid(format!("its title {:?} is empty or has control characters", self.title)));
        }
        if self.provides.is_empty() {
            return Err(Error::invalid("it provides no role, so no component can use it"));
        }
        let roles = || self.provides.iter().map(Role::as_str);
        roles().chain(self.requires.iter().map(|r| r.role.as_str())).try_for_each(|role| label("a role", role))?;
        once("role", roles())?;
        once("requirement", self.requires.iter().map(|r| r.role.as_str()))?;
        let parameters = || self.parameters.iter().map(|p| p.name.as_str());
        parameters().try_for_each(|name| label("a parameter", name))?;
        once("parameter", parameters())?;
        self.parameters.iter().try_for_each(check_parameter)?;
        for binary in &self.binaries {
            if let Binary::FromParameter(name) = binary
                && !parameters().any(|declared| declared == name)
            {
                let why = format!("a binary is named by parameter `{name}`, which it doesn't declare");
                return Err(Error::invalid(why));
            }
        }
        let own = self.requires.iter().find(|required| self.provides.contains(&required.role));
        match own {
            Some(own) => Err(Error::invalid(format!("it requires role `{}`, which it provides itself", own.role))),
            None => Ok(()),
        }
    }
}

fn label(what: &str, name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} is {name:?}, which isn't a DNS label (a-z, 0-9 and dashes, at most 63)")))
}

fn once<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::invalid(format!("it names {what} `{name}` twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
