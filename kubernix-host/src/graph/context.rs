//! The host's side of the contract's context: the values that one instance may read.

use super::{Environment, NodeSpec};
use crate::pki::Identity;
use kubernix_core::abi::{AbiBinary, AbiCommand, AbiContext, AbiIdentity, AbiNode, AbiOutput, AbiResult};
use kubernix_core::abi_stable::std_types::{ROption, RStr, RString};
use kubernix_core::{Binary, Command, Error, Output};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Runs a command of a hook inside the sandbox until it exits.
pub type HookRunner = Box<dyn Fn(Command) -> Result<Output, Error> + Send + Sync>;

/// The context of one instance.
pub struct InstanceContext {
    pub(super) environment: Arc<Environment>,
    pub(super) component: String,
    pub(super) node: Option<String>,
    /// The tool for each declared binary.
    pub(super) binaries: BTreeMap<Binary, String>,
    /// The value of each declared parameter.
    pub(super) parameters: BTreeMap<String, String>,
    /// URLs of the roles that it requires.
    pub(super) endpoints: BTreeMap<String, String>,
    /// The component that fills each role.
    pub(super) filled: Arc<BTreeMap<String, String>>,
    pub(super) runner: OnceLock<HookRunner>,
}

impl InstanceContext {
    /// Allows hooks to run commands. Only the cluster's init sets a runner.
    pub fn set_runner(&self, runner: HookRunner) {
        let _ = self.runner.set(runner);
    }

    /// An identity of this instance's node, or of the cluster.
    pub fn identity_files(&self, user: &str) -> Option<&Identity> {
        Environment::of_node(&self.environment.identities, user, self.node.as_deref())
    }

    fn missing<T>(&self, what: &str, name: RStr<'_>) -> AbiResult<T> {
        AbiResult::RErr(Error::not_found(format!("component `{}` has no {what} `{name}`", self.component)).into())
    }

    /// The tool for a declared binary.
    fn tool(&self, binary: AbiBinary) -> Result<&str, Error> {
        let binary = Binary::try_from(binary)?;
        let tool = self.binaries.get(&binary).map(String::as_str);
        tool.ok_or_else(|| Error::not_found(format!("component `{}` has no binary `{binary}`", self.component)))
    }

    fn look_up(&self, what: &str, name: RStr<'_>, found: Option<impl AsRef<str>>) -> AbiResult<RString> {
        match found {
            Some(text) => AbiResult::ROk(text.as_ref().into()),
            None => self.missing(what, name),
        }
    }
}

fn text(path: &Path) -> RString {
    path.to_string_lossy().into_owned().into()
}

impl AbiContext for InstanceContext {
    fn cluster(&self) -> AbiResult<RString> {
        AbiResult::ROk(self.environment.cluster.as_str().into())
    }

    fn node(&self) -> AbiResult<AbiNode> {
        let nodes = &self.environment.nodes;
        let own = nodes.iter().find(|node| Some(&node.name) == self.node.as_ref()).or_else(|| nodes.first());
        let Some(NodeSpec { name, index, .. }) = own else {
            let why = format!("component `{}` has no node: the cluster has none", self.component);
            return AbiResult::RErr(Error::not_found(why).into());
        };
        let addresses = &self.environment.addresses;
        let Ok(pod_cidr) = addresses.pod_cidr(*index) else {
            return self.missing("pod CIDR of node", name.as_str().into());
        };
        AbiResult::ROk(AbiNode {
            name: name.as_str().into(),
            index: *index,
            ip: addresses.node_ip(*index).to_string().into(),
            pod_cidr: pod_cidr.to_string().into(),
        })
    }

    fn address(&self, name: RStr<'_>) -> AbiResult<RString> {
        let addresses = &self.environment.addresses;
        let found = match name.as_str() {
            "control-plane" => self.environment.control_plane_ip(self.node.as_deref()).to_string(),
            "members" => self.environment.members_with_addresses(),
            "pods" => addresses.pods.to_string(),
            "services" => addresses.services.to_string(),
            "node-mask" => addresses.node_mask.to_string(),
            "dns" => addresses.dns_ip().to_string(),
            "registry" => addresses.registry().to_string(),
            "registry-name" => format!("127.0.0.1:{}", self.environment.registry_port),
            _ => return self.missing("address", name),
        };
        AbiResult::ROk(found.into())
    }

    fn directory(&self, name: RStr<'_>) -> AbiResult<RString> {
        let (component, node) = (&self.component, self.node.as_deref());
        let found = match name.as_str() {
            "state" => self.environment.state_dir(component, node),
            "shared" => self.environment.shared_dir(component),
            "volatile" => self.environment.volatile_dir(component, node),
            "node" => match node {
                Some(node) => self.environment.node_dir(node),
                None => return self.missing("directory", name),
            },
            _ => return self.missing("directory", name),
        };
        AbiResult::ROk(text(&found))
    }

    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity> {
        match self.identity_files(user.as_str()) {
            None => self.missing("identity", user),
            Some(id) => AbiResult::ROk(AbiIdentity { cert: text(&id.cert), key: text(&id.key), ca: text(&id.ca) }),
        }
    }

    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString> {
        let found = Environment::of_node(&self.environment.kubeconfigs, user.as_str(), self.node.as_deref());
        self.look_up("kubeconfig", user, found.map(|path| path.to_string_lossy()))
    }

    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString> {
        let found = self.environment.files.get(name.as_str());
        self.look_up("host file", name, found.map(|path| path.to_string_lossy()))
    }

    fn executable(&self, binary: AbiBinary) -> AbiResult<RString> {
        let tool = match self.tool(binary) {
            Ok(tool) => tool,
            Err(error) => return AbiResult::RErr(error.into()),
        };
        let found = self.environment.binaries.get(tool);
        self.look_up("binary", tool.into(), found.map(|path| path.to_string_lossy()))
    }

    fn version(&self, binary: AbiBinary) -> AbiResult<RString> {
        let tool = match self.tool(binary) {
            Ok(tool) => tool,
            Err(error) => return AbiResult::RErr(error.into()),
        };
        self.look_up("known version of binary", tool.into(), self.environment.versions.get(tool))
    }

    fn endpoint(&self, role: RStr<'_>) -> AbiResult<RString> {
        self.look_up("required role", role, self.endpoints.get(role.as_str()))
    }

    fn filled_by(&self, role: RStr<'_>) -> ROption<RString> {
        self.filled.get(role.as_str()).map(|name| name.as_str().into()).into()
    }

    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.look_up("parameter", name, self.parameters.get(name.as_str()))
    }

    fn fact(&self, name: RStr<'_>) -> ROption<RString> {
        self.environment.fact(name.as_str(), self.node.as_deref()).map(Into::into).into()
    }

    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput> {
        let Some(runner) = self.runner.get() else {
            let why =
                format!("component `{}` runs a command where only hooks of a running cluster may", self.component);
            return AbiResult::RErr(Error::invalid(why).into());
        };
        let convert = |o: Output| AbiOutput { code: o.code, stdout: o.stdout.into(), stderr: o.stderr.into() };
        runner(command.into()).map(convert).map_err(Into::into).into()
    }
}
