//! Loads plugins of all ages in every order, in a process of each age of host: the result must not
//! depend on the plugins loaded before.

use crate::ages::Age;
use crate::workshop::Workshop;
use kubernix_tests::{program, run};

/// The expected output of a host for a plugin.
fn expected(workshop: &Workshop, host: &Age, plugin: &Age) -> String {
    let path = workshop.plugin(plugin).display().to_string();
    let (theirs, ours) = (plugin.text(), host.text());
    let built = format!("{path}: built for plugin interface {theirs}, this host has {ours}");
    if plugin.version.0 != host.version.0 {
        return format!("{built}: the major versions must be equal");
    }
    if plugin.broken {
        let differences = "LogRecord<'a> (at join.log.record) size: host 56, plugin 72; \
                           LogRecord<'a> (at join.log.record) number of fields: host 5, plugin 6";
        return format!("{built}, and the two disagree: {differences}");
    }
    // Defaults are used for methods that the other side lacks.
    let both = host.grown.min(plugin.grown);
    let takes: Vec<_> = (1..=both).map(|step| format!("extra_{step}=host")).collect();
    let answers: Vec<_> = (1..=host.grown).map(|step| if step <= plugin.grown { "own" } else { "default" }).collect();
    let mut logs = vec!["INFO sample: planned for sample".to_owned()];
    logs.extend((1..=plugin.grown).map(|step| {
        let has = (step <= host.grown).then_some(step);
        format!("INFO sample: log {step}: {has:?}")
    }));
    format!(
        "plugin-{} {theirs} for {theirs}, Phase(600): /bin/sample node-0 takes {takes:?} answers {answers:?} logs {logs:?}",
        plugin.label()
    )
}

/// Loads plugins in this order and checks the output for each.
fn check(workshop: &Workshop, host: &Age, order: &[&Age]) {
    let plugins = order.iter().map(|age| workshop.plugin(age));
    let printed = run(program(workshop.host(host)).args(plugins)).ok().stdout;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), order.len(), "{printed}");
    for (plugin, line) in order.iter().zip(lines) {
        let all: Vec<_> = order.iter().map(|age| age.text()).collect();
        assert_eq!(line, expected(workshop, host, plugin), "host {}, plugins {}", host.text(), all.join(", "));
    }
}

#[test]
fn all_ages_work_together_in_every_order() {
    let workshop = Workshop::open();
    let plugins: Vec<&Age> = workshop.ages.iter().collect();
    let hosts: Vec<&Age> = plugins.iter().copied().filter(|age| age.valid()).collect();
    let orders = permutations(&plugins);
    assert_eq!(orders.len(), (1..=plugins.len()).product::<usize>());
    let runs: Vec<_> = hosts.iter().flat_map(|host| orders.iter().map(move |order| (*host, order))).collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in runs.chunks(runs.len().div_ceil(workers)) {
            scope.spawn(move || part.iter().for_each(|(host, order)| check(workshop, host, order)));
        }
    });
    println!(
        "{} hosts, {} plugins, {} orders, {} loads",
        hosts.len(),
        plugins.len(),
        orders.len(),
        runs.len() * plugins.len()
    );
}

#[test]
fn a_host_of_the_next_major_version_rejects_plugins_of_this_one() {
    let workshop = Workshop::open();
    let plugins: Vec<&Age> = workshop.ages.iter().collect();
    let host = plugins.iter().copied().max_by_key(|age| age.version).expect("the next major");
    check(workshop, host, &plugins);
}

#[test]
fn a_relative_library_path_is_not_searched_in_system_directories() {
    let workshop = Workshop::open();
    let age = workshop.ages.iter().find(|age| age.valid()).expect("one at least");
    let plugin = workshop.plugin(age);
    let (folder, name) = (plugin.parent().expect("a folder"), plugin.file_name().expect("a name"));
    // The dynamic linker would search its own directories for a name without a slash.
    let printed = run(program(workshop.host(age)).arg(name).current_dir(folder)).ok().stdout;
    assert!(printed.starts_with(&format!("plugin-{} ", age.label())), "{printed}");
}

fn permutations<'a>(all: &[&'a Age]) -> Vec<Vec<&'a Age>> {
    if all.is_empty() {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for (at, first) in all.iter().enumerate() {
        let mut rest = all.to_vec();
        rest.remove(at);
        found.extend(permutations(&rest).into_iter().map(|rest| [&[*first], &rest[..]].concat()));
    }
    found
}
