//! The states of instances and of the cluster, as the rules know them.

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// For the roles that it needs.
    Waiting,
    /// Its processes run, its probes haven't passed yet.
    Starting,
    /// All its probes passed.
    Ready,
    /// Its processes run, and a probe that had passed doesn't pass any more.
    Unresponsive,
    /// A process ended and is being started again.
    Restarting,
    /// A process ended and stays down.
    Failed,
    /// It is being ended.
    Stopping,
    /// It has ended.
    Stopped,
}

/// Where a cluster is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// It boots.
    Booting,
    /// The boot is over, and every instance is ready.
    Running,
    /// The boot is over, and some instance isn't ready.
    Degraded,
    /// A command changes it.
    Changing,
    /// It ends.
    Stopping,
}
