//! Replaces placeholders by values of a context.

use super::placeholder::Placeholder;
use super::source::Source;
use super::template::{Part, Template};
use kubernix_core::{Binary, Context, Error, Result, Role, UnixSocket};

/// The largest value of `repeat`.
const MAX_COPIES: u32 = 10_000;

/// The values of placeholders.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    ctx: &'a Context<'a>,
    source: &'a Source,
    /// The binaries that the component declares.
    binaries: &'a [Binary],
    index: Option<u32>,
    image: Option<(&'a str, &'a str)>,
}

impl<'a> Values<'a> {
    pub fn new(ctx: &'a Context<'a>, source: &'a Source, binaries: &'a [Binary]) -> Self {
        Self { ctx, source, binaries, index: None, image: None }
    }

    /// Adds the archive and the name of an image to import.
    pub fn image(self, archive: &'a str, name: &'a str) -> Self {
        Self { image: Some((archive, name)), ..self }
    }

    /// The values for each copy of an entry. Without `repeat`, there is one.
    ///
    /// # Errors
    /// The value of `repeat` isn't a number in the allowed range.
    pub fn copies(self, repeat: &Option<Template>) -> Result<Vec<Self>> {
        let Some(repeat) = repeat else { return Ok(vec![self]) };
        let text = self.render(repeat)?;
        let number = text.trim().parse().ok().filter(|number| *number <= MAX_COPIES);
        let number: u32 = number.ok_or_else(|| {
            let position = self.source.describe(repeat.span.start);
            Error::invalid(format!(
                "{position}: `repeat` is `{}` with the value `{text}`, which is not a number from 0 to {MAX_COPIES}",
                repeat.text
            ))
        })?;
        Ok((0..number).map(|index| Self { index: Some(index), ..self }).collect())
    }

    /// A template's text with values in place of placeholders.
    ///
    /// # Errors
    /// The context doesn't have a placeholder's value.
    pub fn render(self, template: &Template) -> Result<String> {
        let mut text = String::with_capacity(template.text.len());
        for part in template.parts() {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Placeholder { name, at } => {
                    let value = Placeholder::parse(name)
                        .map_err(|error| Error::invalid(error.to_string()))
                        .and_then(|p| self.value(p));
                    text.push_str(&value.map_err(|error| error.context(self.no_value(template, name, at)))?);
                }
                Part::Open { at } => return Err(Error::invalid(self.no_value(template, "", at))),
            }
        }
        Ok(text)
    }

    /// The words of a parameter.
    ///
    /// # Errors
    /// As [`Context::words`].
    pub fn words(self, parameter: &str) -> Result<Vec<String>> {
        self.ctx.words(parameter)
    }

    /// The declared binary of this name: a tool, or the one that the parameter of this name
    /// selects.
    fn binary(self, name: &str) -> Binary {
        let selected = Binary::from_parameter(name);
        if self.binaries.contains(&selected) { selected } else { name.into() }
    }

    /// The texts of templates.
    ///
    /// # Errors
    /// As [`Values::render`].
    pub fn render_all(self, templates: &[Template]) -> Result<Vec<String>> {
        templates.iter().map(|template| self.render(template)).collect()
    }

    /// A template's text; with its placeholders if `verbatim`.
    ///
    /// # Errors
    /// As [`Values::render`].
    pub fn render_unless(self, verbatim: bool, template: &Template) -> Result<String> {
        if verbatim { Ok(template.text.clone()) } else { self.render(template) }
    }

    fn no_value(self, template: &Template, name: &str, at: usize) -> String {
        let position = self.source.describe(self.source.byte_of(&template.span, &template.text, at));
        format!("{position}: `{{{{{name}}}}}` has no value")
    }

    fn value(self, placeholder: Placeholder<'_>) -> Result<String> {
        let ctx = self.ctx;
        Ok(match placeholder {
            Placeholder::Braces => "{{".into(),
            Placeholder::Cluster => ctx.cluster()?,
            Placeholder::NodeName => ctx.node()?.name,
            Placeholder::NodeIndex => ctx.node()?.index.to_string(),
            Placeholder::NodeIp => ctx.node()?.ip,
            Placeholder::NodePodCidr => ctx.node()?.pod_cidr,
            Placeholder::Address(name) => match name {
                "control-plane" => ctx.control_plane_ip()?,
                "pods" => ctx.pods_cidr()?,
                "services" => ctx.service_cidr()?,
                "node-mask" => ctx.node_mask()?,
                "registry" => ctx.registry_address()?,
                "registry-name" => ctx.registry_name()?,
                _ => ctx.dns_ip()?,
            },
            Placeholder::Dir => ctx.dir()?,
            Placeholder::VolatileDir => ctx.volatile_dir()?,
            Placeholder::NodeDir => ctx.node_dir()?,
            Placeholder::IdentityCert(user) => ctx.identity(user)?.cert,
            Placeholder::IdentityKey(user) => ctx.identity(user)?.key,
            Placeholder::IdentityCa(user) => ctx.identity(user)?.ca,
            Placeholder::Kubeconfig(user) => ctx.kubeconfig(user)?,
            Placeholder::HostFile(name) => ctx.host_file(name)?,
            Placeholder::Executable(name) => ctx.executable(self.binary(name))?,
            Placeholder::Version(name) => ctx.version(self.binary(name))?,
            // The contract says that it is absolute.
            Placeholder::ExecutableDir(name) => {
                let path = ctx.executable(self.binary(name))?;
                path.rsplit_once('/').map_or_else(String::new, |(directory, _)| directory.into())
            }
            Placeholder::Endpoint(role) => ctx.endpoint(role)?,
            Placeholder::EndpointPath(role) => UnixSocket::from_url(&ctx.endpoint(role)?)?.path().into(),
            Placeholder::EndpointHostPort(role) => host_port(&ctx.endpoint(role)?)?,
            // The slot may be empty.
            Placeholder::FilledBy(role) => ctx.filled_by(&Role::new(role)).unwrap_or_default(),
            Placeholder::Parameter(name) => ctx.parameter(name)?,
            Placeholder::Fact(name) => ctx.known(name)?,
            Placeholder::Index => self.index.map(|index| index.to_string()).unwrap_or_default(),
            Placeholder::Archive => self.image.map_or("", |(archive, _)| archive).into(),
            Placeholder::Name => self.image.map_or("", |(_, name)| name).into(),
        })
    }
}

/// `IP:PORT` of `https://IP:PORT/PATH`.
fn host_port(url: &str) -> Result<String> {
    let rest = url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    match rest.filter(|rest| !rest.is_empty()) {
        Some(rest) => Ok(rest.into()),
        None => Err(Error::invalid(format!("`{url}` has no host and port"))),
    }
}

#[cfg(test)]
mod tests {
    use super::host_port;

    #[test]
    fn the_host_and_port_are_extracted_from_an_endpoint() {
        assert_eq!(host_port("https://10.10.192.1:6443").unwrap(), "10.10.192.1:6443");
        assert_eq!(host_port("http://[::1]:80/healthz").unwrap(), "[::1]:80");
        let error = host_port("unix:///run/a.sock").unwrap_err().to_string();
        assert_eq!(error, "`unix:///run/a.sock` has no host and port");
        assert!(host_port("").is_err());
    }
}
