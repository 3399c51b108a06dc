//! The values of the fake host.

use kubernix_core::abi::AbiNode;
use kubernix_core::{Command, Identity, Node, Output, facts, roles};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A host with fixed values that a test can change: cluster `test` of 10.10.0.0/16 in
/// `/var/lib/kubernix/test`, node `node-0`, cgroup v2, overlay mounts possible.
#[derive(Debug)]
pub struct FakeContext {
    pub(crate) cluster: String,
    pub(crate) root: String,
    pub(crate) volatile: String,
    pub(crate) binaries: String,
    /// The version of binaries that aren't in `versions`.
    pub(crate) version: String,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) node: Node,
    pub(crate) addresses: BTreeMap<String, String>,
    pub(crate) endpoints: BTreeMap<String, String>,
    pub(crate) filled: BTreeMap<String, String>,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) output: Output,
    pub(crate) commands: Mutex<Vec<Command>>,
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

impl Default for FakeContext {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeContext {
    /// The fixed values.
    pub fn new() -> Self {
        Self {
            cluster: "test".into(),
            root: "/var/lib/kubernix/test".into(),
            volatile: "/run/kubernix".into(),
            binaries: "/opt/bin".into(),
            version: "1.0.0".into(),
            versions: BTreeMap::new(),
            node: Node::new("node-0", 0, "10.10.192.2", "10.10.0.0/24"),
            addresses: owned([
                ("control-plane", "10.10.192.1"),
                ("members", ""),
                ("pods", "10.10.0.0/17"),
                ("services", "10.10.128.0/18"),
                ("node-mask", "24"),
                ("dns", "10.10.128.10"),
                ("registry", "10.10.192.1:5000"),
                ("registry-name", "127.0.0.1:5000"),
            ]),
            endpoints: owned([
                (roles::DATASTORE, "https://10.10.192.1:2379"),
                (roles::APISERVER_PORT, "https://10.10.192.1:6443"),
                (roles::APISERVER, "https://10.10.192.1:6443"),
                (roles::CRI, "unix:///var/lib/kubernix/test/nodes/node-0/crio/crio.sock"),
            ]),
            filled: BTreeMap::new(),
            parameters: BTreeMap::new(),
            facts: owned([
                (facts::CLUSTER_ID, "0123456789abcdef"),
                (facts::CGROUP_VERSION, "v2"),
                (facts::CGROUP_DRIVER, "cgroupfs"),
                (facts::CGROUP_ROOT, "/kubernix/test"),
                (facts::OVERLAY, "true"),
                (facts::LOWER_OOM_SCORE, "true"),
                (facts::ROOTLESS, "false"),
                (facts::CPUS, "2"),
            ]),
            output: Output::new(0, "", ""),
            commands: Mutex::default(),
        }
    }

    /// Sets the cluster's name.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.cluster = name.into();
        self
    }

    /// Sets the root directory.
    #[must_use]
    pub fn root(mut self, path: &str) -> Self {
        self.root = path.into();
        self
    }

    /// Sets the directory that is emptied at each boot.
    #[must_use]
    pub fn volatile(mut self, path: &str) -> Self {
        self.volatile = path.into();
        self
    }

    /// Sets the directory of binaries.
    #[must_use]
    pub fn binaries(mut self, path: &str) -> Self {
        self.binaries = path.into();
        self
    }

    /// Sets the version of a binary, by the name of the tool. The default is `1.0.0`.
    #[must_use]
    pub fn version(mut self, tool: &str, version: &str) -> Self {
        self.versions.insert(tool.into(), version.into());
        self
    }

    /// Sets the node.
    #[must_use]
    pub fn node(mut self, node: Node) -> Self {
        self.node = node;
        self
    }

    /// Sets an address or range: `control-plane`, `members`, `pods`, `services`, `node-mask`,
    /// `dns`.
    #[must_use]
    pub fn address(mut self, name: &str, value: &str) -> Self {
        self.addresses.insert(name.into(), value.into());
        self
    }

    /// Sets the endpoint of a role.
    #[must_use]
    pub fn endpoint(mut self, role: &str, url: &str) -> Self {
        self.endpoints.insert(role.into(), url.into());
        self
    }

    /// Sets the component that fills a role.
    #[must_use]
    pub fn filled_by(mut self, role: &str, component: &str) -> Self {
        self.filled.insert(role.into(), component.into());
        self
    }

    /// Sets a parameter. As with a host, a component gets an error for a value that its kind
    /// rejects.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Sets a fact of the host.
    #[must_use]
    pub fn fact(mut self, name: &str, value: &str) -> Self {
        self.facts.insert(name.into(), value.into());
        self
    }

    /// Removes a fact of the host.
    #[must_use]
    pub fn without_fact(mut self, name: &str) -> Self {
        self.facts.remove(name);
        self
    }

    /// Sets the result of each command that a hook runs.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// The commands that hooks ran, in order.
    ///
    /// # Panics
    /// A thread panicked in the middle of recording one.
    pub fn commands(&self) -> Vec<Command> {
        self.commands.lock().expect("no thread panicked while it held the lock").clone()
    }

    pub(crate) fn abi_node(&self) -> AbiNode {
        let node = &self.node;
        AbiNode {
            name: node.name.as_str().into(),
            index: node.index,
            ip: node.ip.as_str().into(),
            pod_cidr: node.pod_cidr.as_str().into(),
        }
    }

    /// The files of a user that a host creates certificates for; `None` for others.
    pub(crate) fn identity_of(&self, user: &str) -> Option<Identity> {
        const USERS: [&str; 11] = [
            "admin",
            "apiserver",
            "apiserver-kubelet-client",
            "apiserver-etcd-client",
            "etcd",
            "controller-manager",
            "scheduler",
            "proxy",
            "front-proxy-client",
            "kubelet",
            "kubelet-serving",
        ];
        let ca = match user {
            "etcd" | "apiserver-etcd-client" => "etcd-ca",
            "front-proxy-client" => "front-proxy-ca",
            _ => "ca",
        };
        USERS.contains(&user).then(|| {
            let path = |name: &str, ending: &str| format!("{}/pki/{name}.{ending}", self.root);
            Identity::new(path(user, "crt"), path(user, "key"), path(ca, "crt"))
        })
    }
}
