//! Flags as people write them.

use super::*;
use clap::CommandFactory;

fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once(&"kubernix").chain(args))
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn kubectl_gets_its_flags_and_kubernix_its_own() {
    for args in [
        &["kubectl", "--name", "a", "--", "get", "--name", "b", "-h"][..],
        &["--name=a", "kubectl", "get", "--name", "b", "-h"],
    ] {
        let cli = parse(args).unwrap();
        assert_eq!(cli.global.settings.0.name.as_deref(), Some("a"), "{args:?}");
        let Some(Command::Kubectl(kubectl)) = cli.command else { panic!("{args:?}") };
        assert_eq!(kubectl.args, ["get", "--name", "b", "-h"], "{args:?}");
    }
}

#[test]
fn enter_takes_a_node_a_command_or_both() {
    let enter = |args: &[&str]| match parse(args).unwrap().command {
        Some(Command::Enter(enter)) => (enter.node, enter.command),
        _ => panic!("{args:?}"),
    };
    assert_eq!(enter(&["enter", "node-0"]), (Some("node-0".into()), vec![]));
    assert_eq!(enter(&["enter", "--", "ls", "-l"]), (None, vec!["ls".into(), "-l".into()]));
    assert_eq!(enter(&["enter", "node-0", "--", "ls"]), (Some("node-0".into()), vec!["ls".into()]));
}

#[test]
fn bad_values_are_refused_with_what_is_wrong() {
    for (args, part) in [
        (&["up", "--cidr", "10.0.0.0"][..], "10.0.0.0"),
        (&["up", "--port", "0"], "0"),
        (&["up", "--port", "70000"], "70000"),
        (&["status", "--name", "Not_A_Label"], "Not_A_Label"),
        (&["up", "--boot-timeout", "0"], "0"),
        (&["up", "--publish", "8080"], "it says no port of a node"),
        (&["port", "add", "0:30080"], "`0` is not a port"),
        (&["port", "add"], "HOST:NODEPORT"),
        (&["port", "remove", "here:8080"], "here:8080"),
        (&["status", "-v", "--quiet"], "--quiet"),
    ] {
        let error = parse(args).unwrap_err();
        assert!(error.use_stderr() && error.to_string().contains(part), "{args:?}: {error}");
    }
}

#[test]
fn the_long_help_lists_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    for exit in Exit::ALL {
        assert!(help.contains(exit.meaning()), "{help}");
    }
}
