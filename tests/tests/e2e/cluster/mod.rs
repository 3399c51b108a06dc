//! Tests a running cluster with each combination of parts: many tests read the fixture cluster.

mod access;
pub mod fixture;
mod pods;

use kubernix_tests::{FIXTURE, Parts, Test, checks, each};

pub fn tests() -> Vec<Test> {
    let checks = checks![
        access::the_node_is_ready_with_the_pinned_version,
        access::the_default_namespace_equals_one_of_the_controller_manager,
        access::processes_have_normal_priority_after_the_boot,
        access::the_api_listens_only_on_127_0_0_1,
        access::keys_and_certificates_are_private,
        access::status_and_list_describe_the_cluster,
        access::the_timeline_shows_every_component,
        access::logs_are_shown_by_component,
        access::enter_runs_a_command_inside,
        access::enter_opens_a_shell_inside,
        access::shell_reaches_the_cluster,
        pods::oci_and_docker_archives_are_loaded,
        pods::a_pod_gets_an_address_of_the_nodes_pod_cidr,
        pods::a_pod_reaches_a_service_by_its_cluster_ip,
        pods::exec_returns_the_exit_status,
        pods::container_logs_are_read,
        pods::port_forward_reaches_a_pod,
        pods::cp_copies_in_both_directions,
        pods::a_guaranteed_pod_runs,
        pods::a_deleted_pod_is_gone,
    ];
    each(FIXTURE, &Parts::all(), &checks)
}
