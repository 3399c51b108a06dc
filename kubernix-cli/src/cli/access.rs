//! The commands `port` and `kubeconfig`: access to a cluster from the host.

use clap::Subcommand;
use kubernix_host::network::Published;
use kubernix_host::network::publish::PortSelector;

/// The subcommands of `port`.
#[derive(Debug, Subcommand)]
pub enum PortCommand {
    /// Forward host ports to node ports, now and at each later boot
    Add {
        /// The ports: 8080:30080, 0.0.0.0:8080:30080, [::1]:53:30053/udp
        #[arg(required = true, value_name = "HOST:NODEPORT")]
        ports: Vec<Published>,
    },
    /// Close published ports and their connections
    Remove {
        /// The ports as they were added, or only their host side: 8080, 0.0.0.0:8080, [::1]:53/udp
        #[arg(required = true, value_name = "HOST[:NODEPORT]")]
        ports: Vec<PortSelector>,
    },
    /// List the published ports
    List,
}

/// The subcommands of `kubeconfig`.
#[derive(Debug, Subcommand)]
pub enum KubeconfigCommand {
    /// Add the cluster's context to your kubeconfig ($KUBECONFIG, else ~/.kube/config), and make it
    /// the current one
    Merge,
    /// Remove the cluster's context from your kubeconfig
    Remove,
    /// Print the path of the cluster's own kubeconfig
    Path,
}
