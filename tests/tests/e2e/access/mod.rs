//! What the user of a host has of clusters: ports that lead into them, contexts in the own
//! kubeconfig, and one command that ends them all.

mod kubeconfig;
mod ports;

use kubernix_tests::{ISOLATED, Lane, Test, checks, once};

pub fn tests() -> Vec<Test> {
    // Ports that a stopped cluster gives back have to be free: no other test may take them.
    let of_network = checks![ports::published_ports_lead_to_nodes_are_changed_while_it_runs_and_come_back];
    let others = checks![kubeconfig::contexts_come_and_go_and_all_else_stays_until_all_clusters_are_down];
    [once(ISOLATED, &of_network), once(Lane::shared(2, 2), &others)].concat()
}
