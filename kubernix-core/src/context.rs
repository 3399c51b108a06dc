//! The view of the cluster that a component gets.

use crate::abi::{AbiBinary, AbiCommand, AbiContext};
use crate::parameter::words;
use crate::{Binary, Command, Error, Result, Role, UnixSocket, facts, roles};
use std::str::FromStr;

/// The node that an instance belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The Kubernetes node's name, a DNS label.
    pub name: String,
    /// 0 for the first.
    pub index: u32,
    /// Its address on the cluster's network.
    pub ip: String,
    /// The range of its pods' addresses: `10.10.0.0/24`.
    pub pod_cidr: String,
}

/// Paths of an identity's certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// The CA that signed it.
    pub ca: String,
}

/// The result of a command that has exited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// Exit code; 128 + N if signal N ended it.
    pub code: i32,
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
}

impl Node {
    /// Creates a node.
    pub fn new(name: impl Into<String>, index: u32, ip: impl Into<String>, pod_cidr: impl Into<String>) -> Self {
        Self { name: name.into(), index, ip: ip.into(), pod_cidr: pod_cidr.into() }
    }
}

impl Identity {
    /// Paths of a certificate, its key and its CA.
    pub fn new(cert: impl Into<String>, key: impl Into<String>, ca: impl Into<String>) -> Self {
        Self { cert: cert.into(), key: key.into(), ca: ca.into() }
    }
}

impl Output {
    /// Creates the result of a command.
    pub fn new(code: i32, stdout: impl Into<String>, stderr: impl Into<String>) -> Self {
        Self { code, stdout: stdout.into(), stderr: stderr.into() }
    }
}

/// Methods that return a named text of the host.
macro_rules! texts {
    ($($(#[$doc:meta])* $method:ident = $of:ident $name:literal;)+) => {
        $($(#[$doc])*
        ///
        /// # Errors
        /// The host doesn't have it; the error names it.
        pub fn $method(&self) -> Result<String> { Ok(self.inner.$of($name.into()).into_result()?.into()) })+
    };
}

/// What a component may know about the cluster, its node and its host. A host object: later minor
/// versions can add methods.
///
/// If a value is missing, its method returns an error that names it, never an empty text.
pub struct Context<'a> {
    inner: &'a (dyn AbiContext + 'a),
}

impl<'a> Context<'a> {
    /// Wraps the host's object.
    pub fn new(inner: &'a (dyn AbiContext + 'a)) -> Self {
        Self { inner }
    }

    /// The cluster's name, a DNS label. It may change while the cluster runs, see
    /// [`Context::cluster_id`].
    ///
    /// # Errors
    /// The host failed.
    pub fn cluster(&self) -> Result<String> {
        Ok(self.inner.cluster().into_result()?.into())
    }

    /// The node of an instance of scope Node. Instances of other scopes get the first.
    ///
    /// # Errors
    /// The cluster has no nodes.
    pub fn node(&self) -> Result<Node> {
        let node = self.inner.node().into_result()?;
        Ok(Node { name: node.name.into(), index: node.index, ip: node.ip.into(), pod_cidr: node.pod_cidr.into() })
    }

    texts! {
        /// The address at which the control plane's components listen. An instance of one of
        /// several members gets that member's address. All others get the address that reaches any
        /// of the members.
        control_plane_ip = address "control-plane";

        /// The range of all pods: `10.10.0.0/17`.
        pods_cidr = address "pods";

        /// The range of Services: `10.10.128.0/18`.
        service_cidr = address "services";

        /// The prefix length of each node's pod CIDR.
        node_mask = address "node-mask";

        /// The Service address of cluster DNS. It is reserved even if no component fills that slot.
        dns_ip = address "dns";

        /// The address of the cluster's own registry inside the cluster: `IP:PORT`.
        registry_address = address "registry";

        /// The address of the cluster's own registry on the host, with which the names of its
        /// images begin: `127.0.0.1:PORT`.
        registry_name = address "registry-name";

        /// The directory of this instance. It is kept when the cluster stops. Absolute, without a
        /// trailing slash.
        dir = directory "state";

        /// A directory of this instance that is empty at each boot (a tmpfs inside the sandbox).
        /// Its path has at most 35 bytes, because socket paths are limited and some programs add
        /// directories named by 64-digit IDs.
        volatile_dir = directory "volatile";

        /// The directory that all instances of this component share, on all nodes. It is kept when
        /// the cluster stops. Absolute, without a trailing slash.
        shared_dir = directory "shared";

        /// The directory that all instances on this node share: sockets of CSI and device plugins,
        /// CNI, pods' logs. Only instances of scope Node have it.
        node_dir = directory "node";
    }

    /// The members of the control plane by name, each with the address at which it listens. Empty
    /// if there is only one: it belongs to no node.
    ///
    /// # Errors
    /// The host doesn't know them.
    pub fn members(&self) -> Result<Vec<(String, String)>> {
        let lines: String = self.inner.address("members".into()).into_result()?.into();
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(name, ip)| (name.into(), ip.into())).collect())
    }

    /// Registries that have mirrors. Each has a prefix of image names (`docker.io`,
    /// `127.0.0.1:5000`, `registry.example/team`) and the URLs of its mirrors, in the order in
    /// which they are tried. A URL's path is put before the repository's name.
    pub fn registries(&self) -> Vec<(String, Vec<String>)> {
        let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
        let lines: Vec<_> = self.fact(facts::REGISTRIES).iter().flat_map(|text| text.lines()).map(words).collect();
        lines.into_iter().filter_map(|words| Some((words.first()?.clone(), words[1..].to_vec()))).collect()
    }

    /// The certificate and key of a user: `admin`, `etcd`, `apiserver`, `kubelet`, `scheduler`, ...
    ///
    /// # Errors
    /// There is no such identity.
    pub fn identity(&self, user: &str) -> Result<Identity> {
        let found = self.inner.identity(user.into()).into_result()?;
        Ok(Identity { cert: found.cert.into(), key: found.key.into(), ca: found.ca.into() })
    }

    /// The path of a kubeconfig for a user.
    ///
    /// # Errors
    /// There is none.
    pub fn kubeconfig(&self, user: &str) -> Result<String> {
        Ok(self.inner.kubeconfig(user.into()).into_result()?.into())
    }

    /// The path of a file that the host created: `service-account.key`, `service-account.pub`,
    /// `encryption.yaml`, `resolv.conf`, `front-proxy-ca.crt`, `ca.crt`, `ca.key`.
    ///
    /// # Errors
    /// There is no such file.
    pub fn host_file(&self, name: &str) -> Result<String> {
        Ok(self.inner.host_file(name.into()).into_result()?.into())
    }

    /// The absolute path of a binary that the component named in `binaries`:
    /// `ctx.executable("etcd")`, or `ctx.executable(Binary::from_parameter("runtime"))`.
    /// `kubernix`, the host itself, is always available.
    ///
    /// # Errors
    /// It wasn't named there.
    pub fn executable(&self, binary: impl Into<Binary>) -> Result<String> {
        Ok(self.inner.executable(AbiBinary::from(&binary.into())).into_result()?.into())
    }

    /// The version of a binary that the component named in `binaries`, as the host found it:
    /// `1.36.3`, `3.6.5`. The program determines its form.
    ///
    /// # Errors
    /// It wasn't named there, or the host doesn't know the version, which is possible if the user
    /// chose the binary.
    pub fn version(&self, binary: impl Into<Binary>) -> Result<String> {
        Ok(self.inner.version(AbiBinary::from(&binary.into())).into_result()?.into())
    }

    /// The endpoint of a role that the component requires.
    ///
    /// # Errors
    /// The role isn't required, or isn't filled.
    pub fn endpoint(&self, role: &str) -> Result<String> {
        Ok(self.inner.endpoint(role.into()).into_result()?.into())
    }

    /// The CRI runtime's socket.
    ///
    /// # Errors
    /// As [`Context::endpoint`], or it isn't a valid unix socket.
    pub fn cri_socket(&self) -> Result<UnixSocket> {
        UnixSocket::from_url(&self.endpoint(roles::CRI)?)
    }

    /// The name of the component that fills a role; `None` if the slot is empty.
    pub fn filled_by(&self, role: &Role) -> Option<String> {
        self.inner.filled_by(role.as_str().into()).map(Into::into).into_option()
    }

    /// The text of a parameter: from the settings, or its declared default.
    ///
    /// # Errors
    /// The component doesn't declare it.
    pub fn parameter(&self, name: &str) -> Result<String> {
        Ok(self.inner.parameter(name.into()).into_result()?.into())
    }

    /// The value of a parameter, parsed.
    ///
    /// # Errors
    /// As [`Context::parameter`], or the text can't be parsed.
    pub fn parameter_as<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.parameter(name)?;
        text.parse().map_err(|_| {
            let wanted = std::any::type_name::<T>();
            Error::invalid(format!("parameter `{name}` is `{text}`, which is not a {wanted}"))
        })
    }

    /// A parameter of the kind `flag`.
    ///
    /// # Errors
    /// As [`Context::parameter_as`].
    pub fn flag(&self, name: &str) -> Result<bool> {
        self.parameter_as(name)
    }

    /// A parameter that lists words separated by white space and quoted as in a POSIX shell, such
    /// as further arguments of a program.
    ///
    /// # Errors
    /// As [`Context::parameter`], or a quote isn't closed.
    pub fn words(&self, name: &str) -> Result<Vec<String>> {
        words(&self.parameter(name)?).map_err(|error| error.context(format!("parameter `{name}` can't be split")))
    }

    /// A fact about the host, see [`facts`].
    pub fn fact(&self, name: &str) -> Option<String> {
        self.inner.fact(name.into()).map(Into::into).into_option()
    }

    /// Whether a fact is known and `true`.
    pub fn is(&self, fact: &str) -> bool {
        self.fact(fact).as_deref() == Some("true")
    }

    /// The unique ID of the cluster, see [`facts::CLUSTER_ID`]. The name is only a label that may
    /// change while the cluster runs: a plan that depends on the name changes as well, and its
    /// processes are restarted with the next change.
    ///
    /// # Errors
    /// The host doesn't know it.
    pub fn cluster_id(&self) -> Result<String> {
        self.known(facts::CLUSTER_ID)
    }

    /// The cluster's cgroup below each hierarchy's root.
    ///
    /// # Errors
    /// The host doesn't know it.
    pub fn cgroup_root(&self) -> Result<String> {
        self.known(facts::CGROUP_ROOT)
    }

    /// A fact that the component can't do without.
    ///
    /// # Errors
    /// The host doesn't know it.
    pub fn known(&self, fact: &str) -> Result<String> {
        self.fact(fact).ok_or_else(|| Error::not_found(format!("the host doesn't know its `{fact}`")))
    }

    /// Runs a command inside the instance's sandbox and waits up to a minute until it exits. Only
    /// allowed in hooks.
    ///
    /// # Errors
    /// It can't be started, or took too long. An exit code other than 0 isn't an error.
    pub fn run(&self, command: &Command) -> Result<Output> {
        let output = self.inner.run(AbiCommand::from(command)).into_result()?;
        Ok(Output { code: output.code, stdout: output.stdout.into(), stderr: output.stderr.into() })
    }
}
