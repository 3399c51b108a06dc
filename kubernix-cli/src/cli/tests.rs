//! Tests of the command line.

use super::*;
use clap::{Arg, CommandFactory};
use kubernix_host::settings::{Id, Takes};

fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once(&"kubernix").chain(args))
}

#[test]
fn the_definitions_are_valid() {
    Cli::command().debug_assert();
}

#[test]
fn flags_after_kubectl_belong_to_kubectl() {
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
fn invalid_values_are_rejected_with_the_reason() {
    for (args, part) in [
        (&["up", "--cidr", "10.0.0.0"][..], "10.0.0.0"),
        (&["up", "--port", "0"], "0"),
        (&["up", "--port", "70000"], "70000"),
        (&["status", "--name", "Not_A_Label"], "Not_A_Label"),
        (&["up", "--boot-timeout", "0"], "0"),
        (&["up", "--publish", "8080"], "the port of the nodes is missing"),
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

#[test]
fn every_setting_with_a_flag_is_an_option_that_reads_its_values() {
    let up = Cli::command().find_subcommand("up").unwrap().clone();
    for id in Id::ALL.iter().copied() {
        let setting = id.setting();
        let Some(flag) = setting.flag() else { continue };
        let command = if setting.is_global() { Cli::command() } else { up.clone() };
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag.name)).map(Arg::get_help);
        assert_eq!(arg.flatten().map(ToString::to_string).as_deref(), setting.help().as_deref(), "{}", setting.key());
        let (text, word) = match flag.takes {
            Takes::Nothing(means) => (means, format!("--{}", flag.name)),
            _ => (setting.example(), format!("--{}={}", flag.name, setting.example())),
        };
        // Only one item: flags of lists are repeated.
        let (text, word) = match flag.takes {
            Takes::Many(_) => ("8080:30080", format!("--{}=8080:30080", flag.name)),
            _ => (text, word),
        };
        let cli = parse(&["up", &word]).unwrap();
        let Some(Command::Up(up)) = cli.command else { panic!("not up") };
        let mut expected = Partial::default();
        expected.put_flag(id, &[text.into()]).unwrap();
        assert_eq!(cli.global.settings.0.with(up.boot.settings), expected, "{word}");
    }
}

#[test]
fn flags_without_value_and_repeated_flags_are_accepted() {
    let cli = parse(&["up", "--merge-kubeconfig", "--plugin", "/a", "--plugin=/b:c", "--publish=1:2"]).unwrap();
    let Some(Command::Up(up)) = cli.command else { panic!("not up") };
    let settings = up.boot.settings;
    assert_eq!(settings.merge_kubeconfig, Some(true));
    assert_eq!(settings.plugins, Some(vec!["/a".into(), "/b:c".into()]));
    assert_eq!(settings.publish.map(|ports| ports.len()), Some(1));
    assert!(parse(&["up", "--merge-kubeconfig=maybe"]).unwrap_err().to_string().contains("neither true nor false"));
    assert!(
        parse(&["up", "--publish=1:2", "--publish=1:3"])
            .unwrap_err()
            .to_string()
            .contains("can't be forwarded to both")
    );
}

#[test]
fn shells_complete_the_values_of_settings() {
    let mut script = Vec::new();
    clap_complete::generate(Shell::Bash, &mut Cli::command(), "kubernix", &mut script);
    let script = String::from_utf8(script).unwrap();
    for words in ["auto always none", "namespaces podman", "1 3 5 7", "all node"] {
        assert!(script.contains(&format!("compgen -W \"{words}\"")), "{words}");
    }
}
