//! The context that one component gets.

use crate::FakeContext;
use kubernix_core::Error;
use kubernix_core::abi::{AbiBinary, AbiCommand, AbiContext, AbiIdentity, AbiNode, AbiOutput, AbiResult, Description};
use kubernix_core::abi_stable::std_types::{ROption, RResult, RStr, RString};
use kubernix_core::{Binary, Command, Parameter, Scope};
use std::collections::BTreeSet;
use std::path::Path;

/// A [`FakeContext`] narrowed to what a component declared.
pub(crate) struct Scoped<'a> {
    fake: &'a FakeContext,
    name: String,
    scope: Scope,
    binaries: BTreeSet<Binary>,
    required: BTreeSet<String>,
    parameters: Vec<Parameter>,
}

impl<'a> Scoped<'a> {
    pub(crate) fn new(description: Description, fake: &'a FakeContext) -> Self {
        Self {
            fake,
            name: description.name,
            scope: description.scope,
            binaries: description.binaries.into_iter().collect(),
            required: description.requires.into_iter().map(|requirement| requirement.role.to_string()).collect(),
            parameters: description.parameters,
        }
    }

    /// The value of a declared parameter, checked as a host does.
    fn value(&self, name: &str) -> AbiResult<String> {
        let Some(parameter) = self.parameters.iter().find(|parameter| parameter.name == name) else {
            return found(None, "parameter", name);
        };
        let text = self.fake.parameters.get(name).unwrap_or(&parameter.default);
        parameter.check(text).map(|()| text.clone()).map_err(Into::into).into()
    }

    /// The tool that a declared binary is.
    fn tool(&self, binary: AbiBinary) -> AbiResult<String> {
        let binary = match Binary::try_from(binary) {
            Ok(binary) if self.binaries.contains(&binary) => binary,
            Ok(binary) => return found(None, "executable", &binary.to_string()),
            Err(error) => return RResult::RErr(error.into()),
        };
        match binary {
            Binary::Tool(name) => RResult::ROk(name),
            Binary::FromParameter(parameter) => self.value(&parameter),
        }
    }

    fn node_dir(&self) -> String {
        format!("{}/nodes/{}", self.fake.root, self.fake.node.name)
    }
}

/// A value, or the error of a host that doesn't have it.
fn found<T>(value: Option<T>, what: &str, name: &str) -> AbiResult<T> {
    match value {
        Some(value) => RResult::ROk(value),
        None => RResult::RErr(Error::not_found(format!("there is no {what} `{name}` for this component")).into()),
    }
}

fn text(value: Option<&String>) -> ROption<RString> {
    value.map(|v| RString::from(v.as_str())).into()
}

impl AbiContext for Scoped<'_> {
    fn cluster(&self) -> AbiResult<RString> {
        RResult::ROk(self.fake.cluster.as_str().into())
    }

    fn node(&self) -> AbiResult<AbiNode> {
        RResult::ROk(self.fake.abi_node())
    }

    fn address(&self, name: RStr<'_>) -> AbiResult<RString> {
        let address = self.fake.addresses.get(name.as_str());
        found(address.map(|address| address.as_str().into()), "address", name.as_str())
    }

    fn directory(&self, name: RStr<'_>) -> AbiResult<RString> {
        let path = match name.as_str() {
            "state" if self.scope == Scope::NODE => format!("{}/{}", self.node_dir(), self.name),
            "state" => format!("{}/control/{}", self.fake.root, self.name),
            "shared" => format!("{}/shared/{}", self.fake.root, self.name),
            "volatile" => format!("{}/{}", self.fake.volatile, self.name),
            "node" if self.scope == Scope::NODE => self.node_dir(),
            other => return found(None, "directory", other),
        };
        RResult::ROk(path.into())
    }

    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity> {
        let identity = self.fake.identity_of(user.as_str());
        let convert =
            |i: kubernix_core::Identity| AbiIdentity { cert: i.cert.into(), key: i.key.into(), ca: i.ca.into() };
        found(identity.map(convert), "identity", user.as_str())
    }

    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString> {
        let path = || format!("{}/kubeconfig/{user}.kubeconfig", self.fake.root).into();
        found(self.fake.identity_of(user.as_str()).map(|_| path()), "kubeconfig of", user.as_str())
    }

    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString> {
        let known = [
            "ca.crt",
            "ca.key",
            "encryption.yaml",
            "front-proxy-ca.crt",
            "resolv.conf",
            "service-account.key",
            "service-account.pub",
        ];
        let path = || format!("{}/pki/{name}", self.fake.root).into();
        found(known.contains(&name.as_str()).then(path), "file", name.as_str())
    }

    fn executable(&self, binary: AbiBinary) -> AbiResult<RString> {
        // Joining an absolute path returns that path.
        let path = |tool: String| Path::new(&self.fake.binaries).join(tool).to_string_lossy().into_owned().into();
        self.tool(binary).map(path)
    }

    fn version(&self, binary: AbiBinary) -> AbiResult<RString> {
        let tool = match self.tool(binary) {
            RResult::ROk(tool) => tool,
            RResult::RErr(error) => return RResult::RErr(error),
        };
        let version = self.fake.versions.get(&tool).unwrap_or(&self.fake.version);
        RResult::ROk(version.as_str().into())
    }

    fn endpoint(&self, role: RStr<'_>) -> AbiResult<RString> {
        let url = self.fake.endpoints.get(role.as_str()).filter(|_| self.required.contains(role.as_str()));
        found(url.map(|url| url.as_str().into()), "endpoint of required role", role.as_str())
    }

    fn filled_by(&self, role: RStr<'_>) -> ROption<RString> {
        text(self.fake.filled.get(role.as_str()))
    }

    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.value(name.as_str()).map(RString::from)
    }

    fn fact(&self, name: RStr<'_>) -> ROption<RString> {
        text(self.fake.facts.get(name.as_str()))
    }

    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput> {
        let mut commands = self.fake.commands.lock().expect("no thread panicked while it held the lock");
        commands.push(Command::from(command));
        let output = &self.fake.output;
        RResult::ROk(AbiOutput {
            code: output.code,
            stdout: output.stdout.as_str().into(),
            stderr: output.stderr.as_str().into(),
        })
    }
}
