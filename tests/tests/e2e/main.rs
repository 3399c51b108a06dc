//! End-to-end tests: they boot real clusters with the built `kubernix`, as a user does. `cargo
//! xtask test e2e` runs them.
//!
//! Each test has a lane, which decides which tests may run at the same time.

mod access;
mod addons;
mod changes;
mod cluster;
mod component;
mod down;
mod errors;
mod images;
mod nodes;
mod plugin_check;
mod plugin_new;
mod processes;
mod promises;
mod registry;
mod rename;
mod snapshot;
mod state;
mod uplink;

use kubernix_tests::{Parts, Test, run_tests};

fn main() {
    let tests = if std::env::var_os("KUBERNIX_TEST_PLUGINS").is_some() { tests_of_plugins() } else { all_tests() };
    run_tests(tests, cluster::fixture::remove).exit();
}

/// All tests, in the order of their start. Long ones come first and short ones last, so that all
/// cores are busy until the end. Tests that compile run in parallel with those that wait. Exclusive
/// tests come last.
fn all_tests() -> Vec<Test> {
    let long = [nodes::tests(), changes::tests(), snapshot::tests(), rename::tests(), component::tests()].concat();
    [
        spread(&plugin_new::tests(), &long),
        state::tests(),
        processes::tests(),
        registry::tests(),
        access::tests(),
        addons::tests(),
        uplink::tests(),
        down::tests(),
        promises::tests(),
        images::tests(),
        cluster::tests(),
        errors::tests(),
        plugin_check::tests(),
        state::exclusive_tests(),
        promises::exclusive_tests(),
    ]
    .concat()
}

/// Inserts a few tests evenly between many: tests that compile block each other.
fn spread(few: &[Test], many: &[Test]) -> Vec<Test> {
    let mut all = Vec::new();
    for (number, test) in few.iter().enumerate() {
        let place = |number: usize| many.len() * number / few.len();
        all.push(test.clone());
        all.extend_from_slice(&many[place(number)..place(number + 1)]);
    }
    all
}

/// The tests that run again with every component as a plugin: those of one cluster without default
/// parts, of its state, and of the plugins themselves.
fn tests_of_plugins() -> Vec<Test> {
    let parts = Parts::as_plugins();
    let of_parts = [state::tests(), cluster::tests()].concat().into_iter().filter(|test| test.parts == parts);
    plugin_check::tests_of_plugins().into_iter().chain(of_parts).collect()
}
