//! What the user of a host has of clusters: ports that lead into them, contexts in the own kubeconfig, and one command that ends
//! them all.

mod kubeconfig;
mod ports;

use kubernix_tests::{Parts, checks, each, run_in_order};

fn main() {
    let checks = checks![
        ports::published_ports_lead_to_nodes_are_changed_while_it_runs_and_come_back,
        kubeconfig::contexts_come_and_go_and_all_else_stays_until_all_clusters_are_down,
    ];
    run_in_order(each(&[Parts::default()], &checks)).exit();
}
