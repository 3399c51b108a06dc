//! The public states of instances and of the cluster.

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// It waits for the roles that it needs.
    Waiting,
    /// Its processes run, but its probes haven't passed yet.
    Starting,
    /// All its probes have passed.
    Ready,
    /// Its processes run, but a probe that had passed fails now.
    Unresponsive,
    /// A process exited and is being restarted.
    Restarting,
    /// A process exited and isn't restarted, or its starts failed repeatedly.
    Failed,
    /// It is being stopped.
    Stopping,
    /// It is stopped.
    Stopped,
}

/// The state of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// It boots.
    Booting,
    /// It has booted, and every instance is ready.
    Running,
    /// It has booted, but some instance isn't ready.
    Degraded,
    /// A command changes it.
    Changing,
    /// It stops.
    Stopping,
}
