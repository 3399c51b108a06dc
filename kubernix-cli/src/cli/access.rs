//! Commands about what the user of a host has of a cluster: ports, and a context.

use clap::Subcommand;
use kubernix_host::network::Published;
use kubernix_host::network::publish::Which;

/// What to do about published ports.
#[derive(Debug, Subcommand)]
pub enum PortCommand {
    /// Publishes ports of a running cluster, at once and at each later boot
    Add {
        /// 8080:30080, 0.0.0.0:8080:30080, [::1]:53:30053/udp
        #[arg(required = true, value_name = "HOST:NODEPORT")]
        ports: Vec<Published>,
    },
    /// Publishes ports no longer; connections through them end
    Remove {
        /// As they were added, or only their place on the host: 8080, 0.0.0.0:8080, [::1]:53/udp
        #[arg(required = true, value_name = "HOST[:NODEPORT]")]
        ports: Vec<Which>,
    },
    /// Lists the published ports
    List,
}

/// What to do about the user's own kubeconfig.
#[derive(Debug, Subcommand)]
pub enum KubeconfigCommand {
    /// Puts the cluster's context into your kubeconfig ($KUBECONFIG, else ~/.kube/config), and makes it the current one
    Merge,
    /// Takes it out again
    Remove,
    /// Prints the path of the cluster's own kubeconfig
    Path,
}
