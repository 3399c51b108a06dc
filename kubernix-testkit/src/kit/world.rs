//! Two hosts that have nothing in common. Whatever of one appears in a plan for the other was
//! remembered by the component.

use crate::FakeContext;
use kubernix_core::abi::Description;
use kubernix_core::{Command, Node, Output, facts, roles};

/// A cluster on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct World {
    /// A word in all its names and paths.
    word: &'static str,
    /// The prefix of all its addresses.
    pub(super) net: &'static str,
    /// Its node's number.
    node: u32,
}

/// The first.
pub(super) const ALPHA: World = World { word: "kit-alpha", net: "10.91.", node: 0 };
/// The second.
pub(super) const BETA: World = World { word: "kit-beta", net: "10.92.", node: 1 };

impl World {
    /// The context of a component on this host.
    pub(super) fn context(self, description: &Description) -> FakeContext {
        let Self { word, net, node } = self;
        let control_plane = format!("{net}192.1");
        let root = self.root();
        let own =
            Node::new(format!("{word}-node"), node, format!("{net}192.{}", node + 2), format!("{net}{node}.0/24"));
        let mut ctx = FakeContext::new()
            .cluster(word)
            .root(&root)
            .volatile(&format!("/run/{word}"))
            .binaries(&self.binaries())
            .node(own)
            .address("control-plane", &control_plane)
            .address("pods", &format!("{net}0.0/17"))
            .address("services", &format!("{net}128.0/18"))
            .address("dns", &format!("{net}128.10"))
            .address("registry", &format!("{control_plane}:5000"))
            .fact(facts::CLUSTER_ID, word)
            .fact(facts::CGROUP_ROOT, &format!("/kubernix/{word}"));
        for required in &description.requires {
            let role = required.role.as_str();
            let url = match role {
                roles::SANDBOX | roles::NODE => String::new(),
                roles::CRI => format!("unix://{root}/nodes/{word}-node/runtime/cri.sock"),
                roles::DATASTORE => format!("https://{control_plane}:2379"),
                roles::APISERVER | roles::APISERVER_PORT => format!("https://{control_plane}:6443"),
                _ => format!("http://{control_plane}:8080"),
            };
            ctx = ctx.endpoint(role, &url).filled_by(role, "another");
        }
        ctx
    }

    /// Its root directory.
    pub(super) fn root(self) -> String {
        format!("/srv/{}/root", self.word)
    }

    /// The directory of its binaries.
    pub(super) fn binaries(self) -> String {
        format!("/opt/{}/bin", self.word)
    }

    /// Texts that appear only in this world.
    pub(super) fn marks(self) -> [&'static str; 2] {
        [self.word, self.net]
    }

    /// Whether an address is one of the cluster's, or loopback.
    pub(super) fn owns(self, host: &str) -> bool {
        host.starts_with(self.net) || host.starts_with("127.") || host == "[::1]" || host == "localhost"
    }
}

/// The result of commands that hooks run.
pub(super) fn failing() -> Output {
    Output::new(1, "", "the conformance kit fails this command")
}

/// The last part of a command's program.
pub(super) fn program_name(command: &Command) -> &str {
    command.program.rsplit('/').next().unwrap_or_default()
}
