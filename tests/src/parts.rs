//! The combinations of runtime, datastore and placement of test clusters. A test that depends on
//! one of these runs with each of its values.

use crate::catalogue::{DATASTORES, Datastore, RUNTIMES, Runtime};

/// A placement of nodes.
#[derive(Debug, PartialEq, Eq)]
pub struct Placement {
    /// The value of `--placement`.
    pub name: &'static str,
    /// Whether a control plane with one member runs on the first node, and not beside it.
    pub has_control_plane: bool,
}

/// All placements, the default first.
pub const PLACEMENTS: &[Placement] = &[
    Placement { name: "namespaces", has_control_plane: false },
    Placement { name: "podman", has_control_plane: true },
];

/// The parts of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Its runtime.
    pub runtime: &'static Runtime,
    /// Its datastore.
    pub datastore: &'static Datastore,
    /// The placement of its nodes.
    pub placement: &'static Placement,
}

impl Default for Parts {
    fn default() -> Self {
        Self { runtime: &RUNTIMES[0], datastore: &DATASTORES[0], placement: &PLACEMENTS[0] }
    }
}

impl Parts {
    /// Every runtime, with the default datastore.
    pub fn runtimes() -> Vec<Self> {
        RUNTIMES.iter().map(|runtime| Self { runtime, ..Self::default() }).collect()
    }

    /// Every datastore, with the default runtime.
    pub fn datastores() -> Vec<Self> {
        DATASTORES.iter().map(|datastore| Self { datastore, ..Self::default() }).collect()
    }

    /// Every placement, with the default parts.
    pub fn placements() -> Vec<Self> {
        std::iter::once(Self::default()).chain(Self::other_placements()).collect()
    }

    /// Every placement but the default, with the default parts.
    fn other_placements() -> impl Iterator<Item = Self> {
        PLACEMENTS[1..].iter().map(|placement| Self { placement, ..Self::default() })
    }

    /// Every runtime and every placement, in as few clusters as possible: they don't depend on each
    /// other.
    pub fn of_nodes() -> Vec<Self> {
        let all = 0..RUNTIMES.len().max(PLACEMENTS.len());
        let one = |i| Self { runtime: any(&RUNTIMES, i), placement: any(PLACEMENTS, i), ..Self::default() };
        all.map(one).collect()
    }

    /// Every runtime and every datastore, in as few clusters as possible, and every other placement
    /// with the default parts.
    pub fn all() -> Vec<Self> {
        let all = 0..RUNTIMES.len().max(DATASTORES.len());
        let one = |i| Self { runtime: any(&RUNTIMES, i), datastore: any(&DATASTORES, i), ..Self::default() };
        all.map(one).chain(Self::other_placements()).collect()
    }

    /// The parts of the cluster whose components are all plugins: none is the default.
    pub fn as_plugins() -> Self {
        Self { runtime: any(&RUNTIMES, 1), datastore: any(&DATASTORES, 1), ..Self::default() }
    }

    /// The label in names of tests.
    pub fn label(self) -> String {
        let label = format!("{}-{}", self.runtime.name, self.datastore.name);
        if self.placement == &PLACEMENTS[0] { label } else { format!("{label}-{}", self.placement.name) }
    }

    /// The flags of `up`.
    pub fn settings(self) -> [&'static str; 6] {
        ["--cri", self.runtime.name, "--datastore", self.datastore.name, "--placement", self.placement.name]
    }

    /// The name of an instance of a control plane with one member.
    pub fn of_control_plane(self, title: &str) -> String {
        if self.placement.has_control_plane { format!("{title} (node 0)") } else { title.to_owned() }
    }

    /// The names of the instances of such a cluster.
    pub fn instances(self) -> Vec<String> {
        let control = [self.datastore.name, "apiserver", "controller-manager", "scheduler"];
        let node = [self.runtime.title, "kubelet", "proxy"].map(|title| format!("{title} (node 0)"));
        control.map(|title| self.of_control_plane(title)).into_iter().chain(node).collect()
    }
}

/// The item of this number; after the last one it starts again from the first.
fn any<T>(all: &[T], number: usize) -> &T {
    &all[number % all.len()]
}
