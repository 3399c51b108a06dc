//! What a running cluster can do, whatever its slots are filled with: one fixture cluster of each
//! kind, many tests that read it.

mod access;
pub mod fixture;
mod pods;

use kubernix_tests::{FIXTURE, Parts, Test, checks, each};

pub fn tests() -> Vec<Test> {
    let checks = checks![
        access::the_node_is_ready_in_the_version_that_is_pinned,
        access::the_default_namespace_is_as_the_controller_manager_makes_any,
        access::nobody_lets_others_go_first_any_more,
        access::the_api_is_reached_at_127_0_0_1_alone,
        access::keys_and_certificates_are_nobody_elses,
        access::status_and_list_tell_of_the_cluster,
        access::the_timeline_shows_every_component,
        access::logs_are_shown_by_component,
        access::enter_runs_a_command_inside,
        access::enter_opens_a_shell_inside,
        access::shell_reaches_the_cluster,
        pods::images_of_both_kinds_of_archive_are_loaded,
        pods::a_pod_gets_an_address_of_the_nodes_pod_cidr,
        pods::a_pod_reaches_a_service_by_its_cluster_ip,
        pods::exec_runs_in_a_container_and_passes_its_status_on,
        pods::logs_of_a_container_are_read,
        pods::port_forward_reaches_a_pod,
        pods::cp_goes_both_ways,
        pods::a_guaranteed_pod_runs,
        pods::a_deleted_pod_is_gone,
    ];
    each(FIXTURE, &Parts::all(), &checks)
}
