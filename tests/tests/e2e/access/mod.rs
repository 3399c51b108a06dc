//! Tests access from the host: published ports, contexts in the user's kubeconfig, and
//! `down --all`.

mod kubeconfig;
mod ports;

use kubernix_tests::{ISOLATED, Lane, Test, checks, once};

pub fn tests() -> Vec<Test> {
    // Isolated, because no other test may take the ports of a stopped cluster.
    let of_network = checks![ports::published_ports_are_changed_and_restored];
    let others = checks![kubeconfig::contexts_are_merged_and_removed_with_their_clusters];
    [once(ISOLATED, &of_network), once(Lane::shared(2, 2), &others)].concat()
}
