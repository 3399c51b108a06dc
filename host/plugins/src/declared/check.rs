//! Checks a component file as far as possible without a context: names, roles, and every
//! placeholder.

use super::Error;
use super::file::{Document, KindEntry, Need, ProbeEntry};
use super::placeholder::Placeholder;
use super::source::Source;
use super::template::{Part, Template};
use kubernix_core::{Binary, ProbeKind, Scope, is_name, roles};
use kubernix_toolchain::text::nearest;
use semver::Version;
use toml::Spanned;

/// The names of parameters that every component with binaries has.
const RESERVED: &[&str] = &["binary", "any-version"];
/// The permission bits that may be set: not setuid, setgid and sticky.
const PERMISSIONS: u32 = 0o777;

/// The kind of string a template is in, which determines its placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Once,
    Repeated,
    Import,
}

/// Checks a file as far as possible without a context.
///
/// # Errors
/// The first error, with its position.
pub(super) fn check(document: &Document, source: &Source) -> Result<(), Error> {
    let check = Check { document, source };
    check.head()?;
    check.parameters()?;
    check.roles()?;
    check.plan()?;
    check.templates().into_iter().try_for_each(|(template, position)| check.template(template, position))
}

struct Check<'a> {
    document: &'a Document,
    source: &'a Source,
}

impl<'a> Check<'a> {
    fn head(&self) -> Result<(), Error> {
        let head = &self.document.component;
        self.name("a component", &head.name)?;
        if let Some(contract) = &head.contract {
            let here = Version::parse(kubernix_core::VERSION).expect("the contract's version is one");
            if !contract.get_ref().matches(&here) {
                let reason = format!("written for the contract {}, but this host has {here}", contract.get_ref());
                return Err(self.source.error(contract.span().start, reason));
            }
        }
        if let Some(host) = &head.host {
            let here = Version::parse(env!("CARGO_PKG_VERSION")).expect("the host's version is one");
            if *host.get_ref() > here {
                let reason = format!("needs kubernix {} or newer, this is {here}", host.get_ref());
                return Err(self.source.error(host.span().start, reason));
            }
        }
        Ok(())
    }

    fn name(&self, what: &str, name: &Spanned<String>) -> Result<(), Error> {
        if is_name(name.get_ref()) {
            return Ok(());
        }
        Err(self.source.error(name.span().start, format!("`{}` can't name {what}: {NAME_RULE}", name.get_ref())))
    }

    fn parameters(&self) -> Result<(), Error> {
        let mut seen = Vec::new();
        for parameter in &self.document.parameters {
            let name = parameter.name.get_ref().as_str();
            let wrong = |reason| Err(self.source.error(parameter.name.span().start, reason));
            self.name("a parameter", &parameter.name)?;
            if RESERVED.contains(&name) {
                return wrong(format!("the parameter `{name}` is reserved: every component has it for its binaries"));
            }
            if seen.contains(&name) {
                return wrong(format!("parameter `{name}` is declared twice"));
            }
            let (choices, range) = (parameter.choices.as_ref(), parameter.min.is_some() || parameter.max.is_some());
            if (parameter.kind == KindEntry::Choice) != choices.is_some_and(|choices| !choices.is_empty()) {
                return wrong(format!("parameter `{name}`: `choices` and `kind = \"choice\"` need each other"));
            }
            if range && parameter.kind != KindEntry::Number {
                return wrong(format!("parameter `{name}`: `min` and `max` need `kind = \"number\"`"));
            }
            if let Err(error) = parameter.parameter().check(&parameter.default) {
                return wrong(format!("the default doesn't fit: {error}"));
            }
            seen.push(name);
        }
        Ok(())
    }

    fn roles(&self) -> Result<(), Error> {
        let head = &self.document.component;
        let declared: Vec<&str> = head.provides.iter().map(|role| role.get_ref().as_str()).collect();
        if declared.is_empty() {
            let reason = "`provides` is empty: only a component that fills a role is started".to_owned();
            return Err(self.source.error(head.name.span().start, reason));
        }
        let provided = head.provides.iter().map(|role| (role.get_ref().as_str(), role.span()));
        let required = head.requires.iter().map(|need| (need.get_ref().0.role.as_str(), need.span()));
        for (role, span) in provided.chain(required) {
            if !is_name(role) {
                return Err(self.source.error(span.start, format!("`{role}` can't name a role: {NAME_RULE}")));
            }
        }
        let entries = &self.document.provides;
        for role in &head.provides {
            let name = role.get_ref();
            if !entries.iter().any(|entry| entry.role.get_ref() == name) {
                let reason = format!("role `{name}` is declared, but no [[provide]] says when it is ready");
                return Err(self.source.error(role.span().start, reason));
            }
        }
        for (index, entry) in entries.iter().enumerate() {
            let (name, at) = (entry.role.get_ref().as_str(), entry.role.span().start);
            if !declared.contains(&name) {
                let near = nearest(name, declared.iter().copied());
                return Err(self.source.error(at, format!("`provides` doesn't declare role `{name}`{near}")));
            }
            if entries[..index].iter().any(|other| other.role.get_ref() == entry.role.get_ref()) {
                return Err(self.source.error(at, format!("role `{name}` is provided twice")));
            }
            self.probe(&entry.probe)?;
        }
        Ok(())
    }

    fn probe(&self, probe: &Spanned<ProbeEntry>) -> Result<(), Error> {
        let (entry, at) = (probe.get_ref(), probe.span().start);
        let has_target = ![ProbeKind::STARTED, ProbeKind::MANIFESTS].contains(&entry.kind);
        if has_target == entry.target.text.is_empty() {
            let problem = if has_target { "needs a `target`" } else { "takes no `target`" };
            return Err(self.source.error(at, format!("a probe of kind `{}` {problem}", entry.kind)));
        }
        let unused = [("arguments", entry.arguments.is_empty()), ("env", entry.env.is_empty())];
        if let Some((key, _)) = unused.iter().find(|(_, empty)| !empty && entry.kind != ProbeKind::COMMAND) {
            let reason = format!("a probe of kind `{}` takes no `{key}`: only a command does", entry.kind);
            return Err(self.source.error(at, reason));
        }
        Ok(())
    }

    fn plan(&self) -> Result<(), Error> {
        let Document { directories, files, processes, manifests, .. } = self.document;
        for (path, mode) in
            directories.iter().map(|d| (&d.path, &d.mode)).chain(files.iter().map(|f| (&f.path, &f.mode)))
        {
            self.path(path)?;
            if let Some(mode) = mode.as_ref().filter(|mode| *mode.get_ref() > PERMISSIONS) {
                let reason = format!("{} isn't a permission: write it in octal, as in 0o600", mode.get_ref());
                return Err(self.source.error(mode.span().start, reason));
            }
        }
        for liveness in processes.iter().filter_map(|process| process.liveness.as_ref()) {
            self.probe(&liveness.probe)?;
        }
        // The field in which the copies of an entry differ.
        let names = (directories.iter().map(|d| (&d.repeat, &d.path)))
            .chain(files.iter().map(|f| (&f.repeat, &f.path)))
            .chain(processes.iter().map(|p| (&p.repeat, &p.name)))
            .chain(manifests.iter().map(|m| (&m.repeat, &m.name)));
        for (repeat, name) in names {
            if repeat.is_some() && !name.placeholders().any(|word| word == "index") {
                let reason =
                    format!("`{}` is repeated without `{{{{index}}}}`: all copies would be the same", name.text);
                return Err(self.source.error(name.span.start, reason));
            }
        }
        Ok(())
    }

    fn path(&self, path: &Template) -> Result<(), Error> {
        let is_inside = match path.parts().next() {
            Some(Part::Placeholder { name: "dir" | "volatile-dir" | "node-dir", .. }) => true,
            // Reported where placeholders are checked.
            Some(Part::Placeholder { name, .. }) => Placeholder::parse(name).is_err(),
            Some(Part::Open { .. }) => true,
            _ => false,
        };
        if is_inside {
            return Ok(());
        }
        let reason = format!(
            "`{}` is outside of the component's directories: begin with {{{{dir}}}}, {{{{volatile-dir}}}} or {{{{node-dir}}}}",
            path.text
        );
        Err(self.source.error(path.span.start, reason))
    }

    /// Every string that may have placeholders.
    fn templates(&self) -> Vec<(&'a Template, Position)> {
        let document = self.document;
        let mut all = Vec::new();
        let mut put = |repeat: &'a Option<Template>, of: Vec<&'a Template>| {
            let position = if repeat.is_some() { Position::Repeated } else { Position::Once };
            all.extend(repeat.iter().map(|template| (template, Position::Once)));
            all.extend(of.into_iter().map(|template| (template, position)));
        };
        for entry in &document.directories {
            put(&entry.repeat, vec![&entry.path]);
        }
        for entry in &document.files {
            put(&entry.repeat, [&entry.path].into_iter().chain((!entry.verbatim).then_some(&entry.content)).collect());
        }
        for entry in &document.processes {
            let own = [&entry.name, &entry.program, &entry.directory, &entry.user].into_iter();
            let own = own.chain(&entry.args).chain(entry.env.values());
            let liveness = entry.liveness.iter().flat_map(|entry| of_probe(entry.probe.get_ref()));
            put(&entry.repeat, own.chain(liveness).collect());
        }
        for entry in &document.manifests {
            put(&entry.repeat, [&entry.name].into_iter().chain((!entry.verbatim).then_some(&entry.yaml)).collect());
        }
        for entry in &document.provides {
            put(&None, [&entry.url].into_iter().chain(of_probe(entry.probe.get_ref())).collect());
        }
        put(&None, document.images.iter().collect());
        put(&None, document.preflight.iter().map(|entry| &entry.message).collect());
        put(&None, document.before_stop.iter().flat_map(|c| [&c.program].into_iter().chain(&c.args)).collect());
        let import = document.import_image.iter().flat_map(|c| [&c.program].into_iter().chain(&c.args));
        all.extend(import.map(|template| (template, Position::Import)));
        all
    }

    fn template(&self, template: &Template, position: Position) -> Result<(), Error> {
        let error = |at, reason| {
            let byte = self.source.byte_of(&template.span, &template.text, at);
            self.source.error(byte, reason)
        };
        for part in template.parts() {
            match part {
                Part::Text(_) => {}
                Part::Open { at } => {
                    let reason =
                        "`{{` is not closed on the same line: for two braces write `{{braces}}`, or set `verbatim`";
                    return Err(error(at, reason.to_owned()));
                }
                Part::Placeholder { name, at } => {
                    let placeholder = Placeholder::parse(name).map_err(|invalid| error(at, invalid.to_string()))?;
                    self.check_available(placeholder, position).map_err(|missing| error(at, missing.to_string()))?;
                }
            }
        }
        Ok(())
    }

    /// Checks that a placeholder's value is declared, and available at this position.
    fn check_available(&self, placeholder: Placeholder<'_>, position: Position) -> Result<(), Unavailable> {
        let head = &self.document.component;
        match placeholder {
            Placeholder::Executable(name) | Placeholder::ExecutableDir(name) | Placeholder::Version(name) => {
                let known = head.binaries.iter().map(|binary| match binary {
                    Binary::Tool(name) | Binary::FromParameter(name) => name.as_str(),
                });
                check_declared("binary", name, "`binaries`", known.collect())
            }
            Placeholder::Parameter(name) => {
                let known = self.document.parameters.iter().map(|p| p.name.get_ref().as_str()).collect();
                check_declared("parameter", name, "any [[parameter]]", known)
            }
            Placeholder::Endpoint(role) | Placeholder::EndpointPath(role) | Placeholder::EndpointHostPort(role) => {
                // The sandbox has no endpoint.
                let required = head.requires.iter().map(|need: &Spanned<Need>| need.get_ref().0.role.as_str());
                check_declared("role", role, "`requires`", required.filter(|role| *role != roles::SANDBOX).collect())
            }
            Placeholder::NodeDir if head.scope != Scope::NODE => Err(Unavailable::NodeDir),
            Placeholder::Index if position != Position::Repeated => Err(Unavailable::Index),
            Placeholder::Archive | Placeholder::Name if position != Position::Import => Err(Unavailable::Image),
            _ => Ok(()),
        }
    }
}

fn check_declared(what: &'static str, name: &str, list: &'static str, known: Vec<&str>) -> Result<(), Unavailable> {
    if known.contains(&name) {
        return Ok(());
    }
    Err(Unavailable::Undeclared { what, name: name.into(), list, hint: nearest(name, known) })
}

/// Why a placeholder has no value at its position.
#[derive(Debug, thiserror::Error)]
enum Unavailable {
    /// It refers to a name that the file doesn't declare.
    #[error("{what} `{name}` is not in {list}{hint}")]
    Undeclared {
        /// What has the name: `binary`, `parameter`, `role`.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it should be declared.
        list: &'static str,
        /// The most similar names, as the end of the message.
        hint: String,
    },
    /// It is a node's directory, in a component that isn't of a node.
    #[error("`{{{{node-dir}}}}` is only available in components of scope `Node`")]
    NodeDir,
    /// It is the number of a copy, in an entry that isn't repeated.
    #[error("`{{{{index}}}}` is the number of a copy: it needs `repeat` in the same entry")]
    Index,
    /// It is a value of an image, outside of the command that imports one.
    #[error("`{{{{archive}}}}` and `{{{{name}}}}` are only available in [import-image]")]
    Image,
}

/// The templates of a probe.
fn of_probe(probe: &ProbeEntry) -> impl Iterator<Item = &Template> {
    [&probe.target, &probe.identity].into_iter().chain(&probe.arguments).chain(probe.env.values())
}

/// The rule of [`is_name`], for messages.
const NAME_RULE: &str = "use at most 63 of a-z, 0-9 and -, with a - only inside";
