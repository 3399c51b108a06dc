//! What can be said of a component file before there is a context: names, roles, and every
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

/// Names that every component with binaries has parameters of.
const RESERVED: &[&str] = &["binary", "any-version"];
/// All permission bits, without setuid and the like.
const PERMISSIONS: u32 = 0o777;

/// Where a template stands, for what may be asked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Once,
    Repeated,
    Import,
}

/// Checks a file as far as it can be without a context.
///
/// # Errors
/// What is wrong first, with its place.
pub(super) fn check(document: &Document, source: &Source) -> Result<(), Error> {
    let check = Check { document, source };
    check.head()?;
    check.parameters()?;
    check.roles()?;
    check.plan()?;
    check.templates().into_iter().try_for_each(|(template, place)| check.template(template, place))
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
                let reason = format!("written for the contract {}, this host has {here}", contract.get_ref());
                return Err(self.source.error(contract.span().start, reason));
            }
        }
        if let Some(host) = &head.host {
            let here = Version::parse(env!("CARGO_PKG_VERSION")).expect("the host's version is one");
            if *host.get_ref() > here {
                let reason = format!("needs kubernix {} at least, this is {here}", host.get_ref());
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
                return wrong(format!("every component has a parameter `{name}` already: it is about its binaries"));
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
            let reason = "`provides` is empty: only what fills a role is ever started".to_owned();
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
        let aims = ![ProbeKind::STARTED, ProbeKind::MANIFESTS].contains(&entry.kind);
        if aims == entry.target.text.is_empty() {
            let needs = if aims { "needs a `target`" } else { "has no `target`: it has nothing to ask" };
            return Err(self.source.error(at, format!("a probe of kind `{}` {needs}", entry.kind)));
        }
        let unused = [("arguments", entry.arguments.is_empty()), ("env", entry.env.is_empty())];
        if let Some((key, _)) = unused.iter().find(|(_, empty)| !empty && entry.kind != ProbeKind::COMMAND) {
            let reason = format!("a probe of kind `{}` has no `{key}`: only a command has", entry.kind);
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
                let reason = format!("{} is no permission: write it in octal, as in 0o600", mode.get_ref());
                return Err(self.source.error(mode.span().start, reason));
            }
        }
        for liveness in processes.iter().filter_map(|process| process.liveness.as_ref()) {
            self.probe(&liveness.probe)?;
        }
        // What makes the copies of an entry differ.
        let names = (directories.iter().map(|d| (&d.repeat, &d.path)))
            .chain(files.iter().map(|f| (&f.repeat, &f.path)))
            .chain(processes.iter().map(|p| (&p.repeat, &p.name)))
            .chain(manifests.iter().map(|m| (&m.repeat, &m.name)));
        for (repeat, name) in names {
            if repeat.is_some() && !name.placeholders().any(|word| word == "index") {
                let reason = format!("`{}` is repeated and has no `{{{{index}}}}`: all would be the same", name.text);
                return Err(self.source.error(name.span.start, reason));
            }
        }
        Ok(())
    }

    fn path(&self, path: &Template) -> Result<(), Error> {
        let inside = match path.parts().next() {
            Some(Part::Placeholder { name: "dir" | "volatile-dir" | "node-dir", .. }) => true,
            // Said where placeholders are checked.
            Some(Part::Placeholder { name, .. }) => Placeholder::parse(name).is_err(),
            Some(Part::Open { .. }) => true,
            _ => false,
        };
        if inside {
            return Ok(());
        }
        let reason = format!(
            "`{}` is outside of the component's directories: begin with {{{{dir}}}}, {{{{volatile-dir}}}} or {{{{node-dir}}}}",
            path.text
        );
        Err(self.source.error(path.span.start, reason))
    }

    /// Every string that may have placeholders.
    fn templates(&self) -> Vec<(&'a Template, Place)> {
        let document = self.document;
        let mut all = Vec::new();
        let mut put = |repeat: &'a Option<Template>, of: Vec<&'a Template>| {
            let place = if repeat.is_some() { Place::Repeated } else { Place::Once };
            all.extend(repeat.iter().map(|template| (template, Place::Once)));
            all.extend(of.into_iter().map(|template| (template, place)));
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
        all.extend(import.map(|template| (template, Place::Import)));
        all
    }

    fn template(&self, template: &Template, place: Place) -> Result<(), Error> {
        let error = |at, reason| {
            let byte = self.source.byte_of(&template.span, &template.text, at);
            self.source.error(byte, reason)
        };
        for part in template.parts() {
            match part {
                Part::Text(_) => {}
                Part::Open { at } => {
                    let reason = "`{{` is not closed in its line: for two braces write `{{braces}}`, or set `verbatim`";
                    return Err(error(at, reason.to_owned()));
                }
                Part::Placeholder { name, at } => {
                    let known = Placeholder::parse(name).and_then(|placeholder| self.known(placeholder, place));
                    known.map_err(|reason| error(at, reason))?;
                }
            }
        }
        Ok(())
    }

    /// Whether what a placeholder asks for is declared.
    fn known(&self, placeholder: Placeholder<'_>, place: Place) -> Result<(), String> {
        let head = &self.document.component;
        let declared = |what: &str, name: &str, key: &str, known: Vec<&str>| {
            if known.contains(&name) {
                return Ok(());
            }
            Err(format!("{what} `{name}` is not in {key}{}", nearest(name, known)))
        };
        match placeholder {
            Placeholder::Executable(name) | Placeholder::ExecutableDir(name) | Placeholder::Version(name) => {
                let known = head.binaries.iter().map(|binary| match binary {
                    Binary::Tool(name) | Binary::FromParameter(name) => name.as_str(),
                });
                declared("binary", name, "`binaries`", known.collect())
            }
            Placeholder::Parameter(name) => {
                let known = self.document.parameters.iter().map(|p| p.name.get_ref().as_str()).collect();
                declared("parameter", name, "any [[parameter]]", known)
            }
            Placeholder::Endpoint(role) | Placeholder::EndpointPath(role) | Placeholder::EndpointHostPort(role) => {
                // The sandbox is no place to talk to.
                let required = head.requires.iter().map(|need: &Spanned<Need>| need.get_ref().0.role.as_str());
                declared("role", role, "`requires`", required.filter(|role| *role != roles::SANDBOX).collect())
            }
            Placeholder::NodeDir if head.scope != Scope::NODE => {
                Err("`{{node-dir}}` is there for components of scope `Node` alone".into())
            }
            Placeholder::Index if place != Place::Repeated => {
                Err("`{{index}}` counts the copies of an entry: it needs `repeat` beside it".into())
            }
            Placeholder::Archive | Placeholder::Name if place != Place::Import => {
                Err("`{{archive}}` and `{{name}}` are what [import-image] is given, and known there alone".into())
            }
            _ => Ok(()),
        }
    }
}

/// The templates of a probe.
fn of_probe(probe: &ProbeEntry) -> impl Iterator<Item = &Template> {
    [&probe.target, &probe.identity].into_iter().chain(&probe.arguments).chain(probe.env.values())
}

/// What [`is_name`] takes.
const NAME_RULE: &str = "use at most 63 of a-z, 0-9 and -, with a - only inside";
