//! Whole component files: their plans, and every error with its line and column.

use super::*;
use kubernix_core::abi::{self, Handle};
use kubernix_core::{
    Component, ErrorKind, Limit, Liveness, Output, Parameter, Phase, Probe, Requirement, Restart, Scope, Signal,
    UNLIMITED,
};
use kubernix_testkit::{FakeContext, assert_pure, before_stop, file, import_image, plan, preflight};
use std::path::PathBuf;
use std::time::Duration;

/// The smallest valid component.
const MINIMAL: &str = r#"[component]
name = "fake"
version = "1.2.3"
description = "does nothing"
phase = "Addon"
provides = ["fake"]
requires = ["apiserver"]
binaries = ["fake"]

[[provide]]
role = "fake"
probe = { kind = "started" }
"#;

fn declared(text: &str) -> Declared {
    parse(Path::new("a.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn component(more: &str) -> Handle {
    abi::component(declared(&format!("{MINIMAL}{more}")))
}

fn error_in(text: &str) -> String {
    parse(Path::new("a.toml"), text).expect_err("the file isn't valid").to_string()
}

/// The error in the minimal component with a text after it, from line 14.
fn error_after(more: &str) -> String {
    error_in(&format!("{MINIMAL}\n{more}"))
}

/// The error in the minimal component with one text replaced.
fn error_with(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from), "{from}");
    error_in(&MINIMAL.replacen(from, to, 1))
}

#[test]
fn the_minimal_component_has_defaults() {
    let fake = declared(MINIMAL);
    assert_eq!((fake.name(), fake.title(), fake.phase(), fake.scope()), ("fake", "fake", Phase::ADDON, Scope::CLUSTER));
    assert_eq!(fake.requires(), [Requirement::ready("apiserver")]);
    let plan = assert_pure(&abi::component(fake), &FakeContext::new());
    assert_eq!((plan.provides.len(), &plan.provides[0].probe), (1, &Probe::started()));
    assert!(plan.processes.is_empty() && plan.files.is_empty());
}

#[test]
fn all_keys_of_the_head_are_parsed() {
    let head = MINIMAL
        .replace("phase = \"Addon\"", "phase = 450\nscope = \"Node\"\ntitle = \"Fake\"\nlicense = \"MIT\"")
        .replace("[\"apiserver\"]", "[{ role = \"apiserver-port\", wait = \"known\" }, { role = \"cri\" }]");
    let fake = declared(&head);
    assert_eq!((fake.title(), fake.phase(), fake.scope()), ("Fake", Phase(450), Scope::NODE));
    assert_eq!(fake.requires(), [Requirement::known("apiserver-port"), Requirement::ready("cri")]);
    assert_eq!(fake.head().version.to_string(), "1.2.3");
    assert_eq!(fake.head().license.as_deref(), Some("MIT"));
}

#[test]
fn every_placeholder_has_its_value() {
    let head = MINIMAL
        .replace("requires = [\"apiserver\"]", "scope = \"Node\"\nrequires = [\"apiserver\", \"cri\", \"datastore\"]")
        .replace("[component]", "images = [\"a/{{parameter.tag}}\"]\n[component]");
    let text = head
        + r#"
[[parameter]]
name = "tag"
default = "1"
help = "x"

[[file]]
path = "{{volatile-dir}}/all"
content = """
{{cluster}} {{node.name}} {{node.index}} {{node.ip}} {{node.pod-cidr}}
{{address.control-plane}} {{address.pods}} {{address.services}} {{address.node-mask}} {{ address.dns }}
{{dir}} {{volatile-dir}} {{node-dir}}
{{identity.admin.cert}} {{identity.admin.key}} {{identity.etcd.ca}} {{kubeconfig.admin}}
{{host-file.ca.crt}} {{executable.fake}} {{executable-dir.fake}}
{{endpoint.apiserver}} {{endpoint.apiserver.host-port}} {{endpoint.cri}} {{endpoint.cri.path}}
{{filled-by.cri}}{{filled-by.dns}} {{parameter.tag}} {{fact.cgroup.version}} {{braces}}x}}
"""
"#;
    let ctx = FakeContext::new().filled_by("cri", "some");
    let plan = assert_pure(&abi::component(declared(&text)), &ctx);
    let root = "/var/lib/kubernix/test";
    assert_eq!(
        file(&plan, "/all"),
        format!(
            "test node-0 0 10.10.192.2 10.10.0.0/24\n\
             10.10.192.1 10.10.0.0/17 10.10.128.0/18 24 10.10.128.10\n\
             {root}/nodes/node-0/fake /run/kubernix/fake {root}/nodes/node-0\n\
             {root}/pki/admin.crt {root}/pki/admin.key {root}/pki/etcd-ca.crt {root}/kubeconfig/admin.kubeconfig\n\
             {root}/pki/ca.crt /opt/bin/fake /opt/bin\n\
             https://10.10.192.1:6443 10.10.192.1:6443 unix://{root}/nodes/node-0/crio/crio.sock \
             {root}/nodes/node-0/crio/crio.sock\n\
             some 1 v2 {{{{x}}}}\n"
        )
    );
    assert_eq!(plan.images, ["a/1"]);
}

#[test]
fn processes_have_restart_and_stop_settings() {
    let more = r#"
[[process]]
name = "fake"
program = "{{executable.fake}}"
args = ["--dir={{dir}}"]
env = { HOME = "{{dir}}" }
restart = "never"
stop-signal = "INT"
stop-grace-ms = 10

[[process]]
name = "other"
program = "{{executable.fake}}"
stop-signal = 10

[[directory]]
path = "{{dir}}/data"
mode = 0o755

[[file]]
path = "{{dir}}/run.sh"
content = "exit"
mode = 0o700
"#;
    let plan = assert_pure(&component(more), &FakeContext::new());
    let (fake, other) = (&plan.processes[0], &plan.processes[1]);
    assert_eq!((fake.restart, fake.stop_signal), (Restart::NEVER, Signal::INT));
    assert_eq!(fake.stop_grace, Duration::from_millis(10));
    assert_eq!(fake.args, ["--dir=/var/lib/kubernix/test/control/fake"]);
    assert_eq!(fake.env["HOME"], "/var/lib/kubernix/test/control/fake");
    assert_eq!((other.restart, other.stop_signal), (Restart::ALWAYS, Signal::USR1));
    assert_eq!(other.stop_grace, Duration::from_secs(5));
    assert_eq!((plan.directories[0].mode, plan.files[0].mode), (0o755, 0o700));
}

#[test]
fn processes_have_arguments_limits_and_liveness() {
    let more = r#"
[[parameter]]
name = "extra-args"
kind = "words"
help = "x"

[[process]]
name = "setup"
program = "{{executable.fake}}"
args = ["init", "{{version.fake}}"]
one-shot = true

[[process]]
name = "fake"
program = "{{executable.fake}}"
args = ["--x", "{{parameter.extra-args}}", "a {{parameter.extra-args}}"]
directory = "{{volatile-dir}}"
user = "nobody:nogroup"
limits = { nofile = 64, core = 0, memlock = "unlimited" }

[process.liveness]
probe = { kind = "command", target = "{{executable.fake}}", arguments = ["ping"], env = { A = "{{dir}}" } }
interval-ms = 500
failures = 2
"#;
    let ctx = FakeContext::new().parameter("extra-args", "--a '--b=c d'").version("fake", "1.2.3");
    let plan = assert_pure(&component(more), &ctx);
    let (setup, fake) = (&plan.processes[0], &plan.processes[1]);
    assert!(setup.one_shot && !fake.one_shot);
    assert_eq!(setup.args, ["init", "1.2.3"]);
    assert_eq!(fake.args, ["--x", "--a", "--b=c d", "a --a '--b=c d'"]);
    assert_eq!((&*fake.directory, &*fake.user), ("/run/kubernix/fake", "nobody:nogroup"));
    let limits = [(Limit::CORE, 0), (Limit::NOFILE, 64), (Limit::MEMLOCK, UNLIMITED)];
    assert_eq!(fake.limits, limits.into());
    let probe = Probe::command("/opt/bin/fake", ["ping"]).env("A", "/var/lib/kubernix/test/control/fake");
    assert_eq!(fake.liveness, Some(Liveness::new(probe).every(Duration::from_millis(500)).failures(2)));
}

#[test]
fn parameters_have_kinds() {
    let more = |keys: &str| format!("[[parameter]]\nname = \"x\"\nhelp = \"h\"\n{keys}");
    let parameter = |keys: &str| declared(&format!("{MINIMAL}\n{}", more(keys))).parameters().remove(0);
    let new = |default: &str| Parameter::new("x", default, "h");
    assert_eq!(parameter(""), new(""));
    let choice = "kind = \"choice\"\nchoices = [\"a\", \"b\"]\ndefault = \"a\"";
    assert_eq!(parameter(choice), new("a").choice(&["a", "b"]));
    assert_eq!(parameter("kind = \"number\"\nmin = 1\nmax = 3\ndefault = \"2\""), new("2").number(1..=3));
    assert_eq!(parameter("kind = \"flag\"\ndefault = \"true\""), new("true").flag());
    assert_eq!(parameter("kind = \"path\""), new("").path());
    assert_eq!(parameter("kind = \"words\""), new("").words());
    for (keys, wanted) in [
        ("kind = \"choice\"", "parameter `x`: `choices` and `kind = \"choice\"` need each other"),
        ("choices = [\"a\"]", "parameter `x`: `choices` and `kind = \"choice\"` need each other"),
        ("min = 1", "parameter `x`: `min` and `max` need `kind = \"number\"`"),
        ("kind = \"flag\"\ndefault = \"on\"", "the default doesn't fit: parameter `x` is `on`: use true or false"),
    ] {
        assert_eq!(error_after(&more(keys)), format!("a.toml:15:8: {wanted}"));
    }
}

#[test]
fn unknown_options_are_rejected_by_name() {
    let process = "[[process]]\nname = \"a\"\nprogram = \"/bin/a\"\noptions = { cgroup = \"x\" }";
    let error = plan(&component(&format!("\n{process}")), &FakeContext::new()).unwrap_err().frames().join(": ");
    assert!(error.contains("process `a` has the option `cgroup`, which this version"), "{error}");
    let more = "\n[[parameter]]\nname = \"a\"\nhelp = \"h\"\noptions = { secret = \"true\" }";
    let error = component(more).describe().unwrap_err().frames().join(": ");
    assert!(error.contains("parameter `a` has the option `secret`"), "{error}");
}

#[test]
fn entries_are_repeated_and_numbered() {
    let more = r#"
[[parameter]]
name = "count"
default = "2"
help = "x"

[[manifest]]
repeat = "{{parameter.count}}"
name = "m-{{index}}"
yaml = "{ n: {{index}} }"

[[file]]
repeat = "{{parameter.count}}"
path = "{{dir}}/{{index}}"
content = "{{index}}"
verbatim = true
"#;
    let fake = component(more);
    let made = assert_pure(&fake, &FakeContext::new());
    let manifests: Vec<_> = made.manifests.iter().map(|m| (m.name.as_str(), m.yaml.as_str())).collect();
    assert_eq!(manifests, [("m-0", "{ n: 0 }"), ("m-1", "{ n: 1 }")]);
    assert_eq!((made.files.len(), file(&made, "/1")), (2, "{{index}}"));
    assert!(plan(&fake, &FakeContext::new().parameter("count", "0")).unwrap().manifests.is_empty());
    for count in ["-1", "x", "10001"] {
        let error = plan(&fake, &FakeContext::new().parameter("count", count)).unwrap_err();
        let wanted = format!(
            "line 25, column 10: `repeat` is `{{{{parameter.count}}}}` with the value `{count}`, which is not a number from 0 to 10000"
        );
        assert_eq!(error.frames(), [wanted]);
    }
}

#[test]
fn hooks_run_commands() {
    let more = r#"
[before-stop]
program = "{{executable.fake}}"
args = ["end"]

[import-image]
program = "{{executable.fake}}"
args = ["import", "{{archive}}", "{{name}}"]

[[preflight]]
fact = "storage.overlay"
one-of = ["true"]
message = "no overlay below {{dir}}"
"#;
    let (fake, ctx) = (component(more), FakeContext::new());
    before_stop(&fake, &ctx).unwrap();
    assert_eq!(
        (ctx.commands()[0].program.as_str(), &*ctx.commands()[0].args),
        ("/opt/bin/fake", &["end".to_owned()][..])
    );
    let failing = FakeContext::new().output(Output::new(3, "", "no\n"));
    let error = before_stop(&fake, &failing).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::COMMAND, "line 15, column 11: /opt/bin/fake exited with 3: no")
    );
    let command = import_image(&fake, &ctx, "oci-archive:/x", "pause:1").unwrap().unwrap();
    assert_eq!(command.args, ["import", "oci-archive:/x", "pause:1"]);
    assert_eq!(import_image(&component(""), &ctx, "oci-archive:/x", "pause:1"), Ok(None));
    assert_eq!(preflight(&fake, &ctx).unwrap(), []);
    assert_eq!(preflight(&fake, &FakeContext::new().without_fact("storage.overlay")).unwrap(), []);
    let found = preflight(&fake, &FakeContext::new().fact("storage.overlay", "false")).unwrap();
    assert!(found[0].fatal, "{found:?}");
    assert_eq!(found[0].message, "no overlay below /var/lib/kubernix/test/control/fake");
}

#[test]
fn invalid_placeholders_are_rejected_at_their_position() {
    let file = |content: &str| error_after(&format!("[[file]]\npath = \"{{{{dir}}}}/a\"\ncontent = {content}\n"));
    for (content, wanted) in [
        (r#""ab {{nodee.ip}}""#, "a.toml:16:15: unknown placeholder `{{nodee.ip}}`, did you mean `node`?"),
        ("'''\na\nä {{parameter.x}}'''", "a.toml:18:3: parameter `x` is not in any [[parameter]], there is none"),
        (
            "\"\"\"a\\\n   {{executable.fak}}\"\"\"",
            "a.toml:17:4: binary `fak` is not in `binaries`, did you mean `fake`?",
        ),
        (r#""\u00e4\t{{endpoint.cri}}""#, "a.toml:16:20: role `cri` is not in `requires`, there is `apiserver`"),
        (r#""{{index}}""#, "a.toml:16:12: `{{index}}` is the number of a copy: it needs `repeat` in the same entry"),
        (r#""{{name}}""#, "a.toml:16:12: `{{archive}}` and `{{name}}` are only available in [import-image]"),
        (r#""{{node-dir}}""#, "a.toml:16:12: `{{node-dir}}` is only available in components of scope `Node`"),
        (
            r#""a {{cluster""#,
            "a.toml:16:14: `{{` is not closed on the same line: for two braces write `{{braces}}`, or set `verbatim`",
        ),
    ] {
        assert_eq!(file(content), wanted);
    }
}

#[test]
fn placeholders_are_checked_in_every_string() {
    for (more, wanted) in [
        ("[[directory]]\npath = \"{{dirr}}\"", "15:9"),
        ("[[process]]\nname = \"{{x}}\"\nprogram = \"a\"", "15:9"),
        ("[[process]]\nname = \"a\"\nprogram = \"{{x}}\"", "16:12"),
        ("[[process]]\nname = \"a\"\nprogram = \"a\"\nargs = [\"b\", \"c {{x}}\"]", "17:17"),
        ("[[process]]\nname = \"a\"\nprogram = \"a\"\nenv.B = \"{{x}}\"", "17:10"),
        ("[[process]]\nname = \"a{{index}}\"\nprogram = \"a\"\nrepeat = \"{{index}}\"", "17:11"),
        ("[[manifest]]\nname = \"a\"\nyaml = \"{{x}}\"", "16:9"),
        ("[before-stop]\nprogram = \"a\"\nargs = [\"{{x}}\"]", "16:10"),
        ("[import-image]\nprogram = \"a\"\nargs = [\"{{x}}\"]", "16:10"),
        ("[[preflight]]\nfact = \"a\"\none-of = []\nmessage = \"{{x}}\"", "17:12"),
    ] {
        let error = error_after(more);
        assert!(error.starts_with(&format!("a.toml:{wanted}: ")), "{wanted}: {error}");
    }
    let url = error_with("probe =", "url = \"{{x}}\"\nprobe =");
    assert!(url.starts_with("a.toml:12:8: unknown placeholder `{{x}}`"), "{url}");
    let probe = error_with("\"started\"", "\"http\", target = \"{{x}}\", identity = \"a\"");
    assert!(probe.starts_with("a.toml:12:36: unknown"), "{probe}");
    let image = error_in(&format!("images = [\"{{{{x}}}}\"]\n{MINIMAL}"));
    assert!(image.starts_with("a.toml:1:12: unknown"), "{image}");
}

#[test]
fn names_and_roles_are_checked() {
    for (from, to, wanted) in [
        (
            "\"fake\"",
            "\"Fake\"",
            "2:8: `Fake` can't name a component: use at most 63 of a-z, 0-9 and -, with a - only inside",
        ),
        ("[\"fake\"]", "[]", "2:8: `provides` is empty: only a component that fills a role is started"),
        ("[\"fake\"]", "[\"fake\", \"a_b\"]", "6:21: `a_b` can't name a role: use at most 63"),
        ("[\"apiserver\"]", "[{ role = \"A\" }]", "7:13: `A` can't name a role: use at most 63"),
        ("[\"fake\"]", "[\"fake\", \"dns\"]", "6:21: role `dns` is declared, but no [[provide]] says when it is ready"),
        ("role = \"fake\"", "role = \"fakes\"", "6:13: role `fake` is declared, but no [[provide]]"),
        ("\"started\"", "\"tcp\"", "12:9: a probe of kind `tcp` needs a `target`"),
        ("\"started\"", "\"started\", target = \"a\"", "12:9: a probe of kind `started` takes no `target`"),
        (
            "\"started\"",
            "\"tcp\", target = \"a\", arguments = [\"b\"]",
            "12:9: a probe of kind `tcp` takes no `arguments`",
        ),
        ("phase", "contract = \"2\"\nphase", "5:12: written for the contract ^2, but this host has 1."),
        ("phase", "host = \"999.0.0\"\nphase", "5:8: needs kubernix 999.0.0 or newer, this is "),
    ] {
        let error = error_with(from, to);
        assert!(error.starts_with(&format!("a.toml:{wanted}")), "{error}");
    }
    let twice = "[[provide]]\nrole = \"fake\"\nprobe = { kind = \"started\" }";
    assert_eq!(error_after(twice), "a.toml:15:8: role `fake` is provided twice");
    let other = "[[provide]]\nrole = \"fakes\"\nprobe = { kind = \"started\" }";
    assert_eq!(error_after(other), "a.toml:15:8: `provides` doesn't declare role `fakes`, did you mean `fake`?");
}

#[test]
fn parameters_files_and_copies_are_checked() {
    for (more, wanted) in [
        (
            "[[parameter]]\nname = \"binary\"\nhelp = \"x\"",
            "15:8: the parameter `binary` is reserved: every component has it for its binaries",
        ),
        ("[[parameter]]\nname = \"A\"\nhelp = \"x\"", "15:8: `A` can't name a parameter"),
        (
            "[[parameter]]\nname = \"a\"\nhelp = \"x\"\n[[parameter]]\nname = \"a\"\nhelp = \"x\"",
            "18:8: parameter `a` is declared twice",
        ),
        (
            "[[file]]\npath = \"/etc/a\"\ncontent = \"\"",
            "15:8: `/etc/a` is outside of the component's directories: begin with {{dir}}, {{volatile-dir}} or",
        ),
        ("[[directory]]\npath = \"{{kubeconfig.admin}}\"", "15:8: `{{kubeconfig.admin}}` is outside of"),
        (
            "[[directory]]\npath = \"{{dir}}\"\nmode = 755",
            "16:8: 755 isn't a permission: write it in octal, as in 0o600",
        ),
        (
            "[[manifest]]\nname = \"a\"\nyaml = \"\"\nrepeat = \"2\"",
            "15:8: `a` is repeated without `{{index}}`: all copies would be the same",
        ),
    ] {
        let error = error_after(more);
        assert!(error.starts_with(&format!("a.toml:{wanted}")), "{error}");
    }
}

#[test]
fn errors_of_serde_have_a_position() {
    for (from, to, wanted) in [
        ("[component]", "[component", "1:11: "),
        ("phase = \"Addon\"", "phase = \"Adon\"", "5:9: unknown variant `Adon`, expected one of `Infrastructure`"),
        ("description", "descripton", "4:1: unknown field `descripton`"),
        ("description = \"does nothing\"\n", "", "1:1: missing field `description`"),
        ("version = \"1.2.3\"", "version = \"1\"", "3:11: unexpected end of input while parsing major version"),
        ("[\"apiserver\"]", "[{ role = \"a\", wait = \"soon\" }]", "7:34: unknown variant `soon`, expected"),
        ("[\"apiserver\"]", "[1]", "7:13: invalid type: integer `1`, expected a role, or a table with `role`"),
        ("kind = \"started\"", "kind = \"start\"", "12:18: unknown variant `start`, expected"),
    ] {
        let error = error_with(from, to);
        assert!(error.starts_with(&format!("a.toml:{wanted}")), "{error}");
    }
    let signal =
        |signal: &str| error_after(&format!("[[process]]\nname = \"a\"\nprogram = \"a\"\nstop-signal = {signal}"));
    for (given, name) in [("\"TREM\"", "TREM"), ("0", "0"), ("65", "65")] {
        let wanted =
            format!("a.toml:17:15: `{name}` isn't a signal: give a name such as SIGTERM, or a number from 1 to 64");
        assert_eq!(signal(given), wanted);
    }
}

#[test]
fn errors_of_rendering_have_a_position() {
    let file = |content: &str| {
        let fake = component(&format!("\n[[file]]\npath = \"{{{{dir}}}}/a\"\ncontent = \"x {content}\"\n"));
        let error = plan(&fake, &FakeContext::new()).unwrap_err();
        error.frames().join(": ")
    };
    assert!(
        file("{{identity.nobody.key}}").starts_with("line 16, column 14: `{{identity.nobody.key}}` has no value: ")
    );
    assert!(file("{{host-file.x}}").starts_with("line 16, column 14: `{{host-file.x}}` has no value: "));
    assert_eq!(file("{{fact.x}}"), "line 16, column 14: `{{fact.x}}` has no value: the host doesn't know its `x`");
    assert!(file("{{endpoint.apiserver.path}}").ends_with("`https://10.10.192.1:6443` is not a unix:// endpoint"));
    let twice = "\n[[process]]\nname = \"a\"\nprogram = \"/a\"\n[[process]]\nname = \"a\"\nprogram = \"/a\"\n";
    let error = plan(&component(twice), &FakeContext::new()).unwrap_err();
    assert_eq!(error.frames(), ["line 19, column 11", "the plan names process `a` twice"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = read(Path::new("/nowhere/a.toml")).unwrap_err().to_string();
    assert!(error.starts_with("can't read the component file `/nowhere/a.toml`: "), "{error}");
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(MAX_SIZE + 1).unwrap();
    let error = read(large.path()).unwrap_err().to_string();
    assert!(error.ends_with(": it is larger than 1 MiB"), "{error}");
}

#[test]
fn the_examples_are_components() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/components");
    let kwok = read(&directory.join("kwok.toml")).unwrap_or_else(|error| panic!("{error}"));
    let kwok = abi::component(kwok);
    let made = assert_pure(&kwok, &FakeContext::new());
    assert_eq!(made.manifests.len(), 3);
    assert!(made.manifests[2].yaml.contains("  name: kwok-2\n"), "{}", made.manifests[2].yaml);
    assert!(file(&made, "/stages.yaml").contains("{{ $now := Now }}"));
    let many = plan(&kwok, &FakeContext::new().parameter("nodes", "100")).unwrap();
    assert_eq!(many.manifests.len(), 100);
}

#[test]
fn the_reference_is_correct_and_complete() {
    let reference = include_str!("../../../../docs/toml-components.md");
    let example = reference.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_pure(&abi::component(declared(example)), &FakeContext::new());
    // The rows of the table of placeholders.
    let rows =
        reference.lines().filter_map(|line| line.strip_prefix("| `{{")).map(|row| row.split(" | ").next().unwrap());
    let named = rows.flat_map(|cell| cell.split("{{").filter_map(|part| part.split_once("}}")).map(|(name, _)| name));
    let named: Vec<&str> = named.collect();
    for name in &named {
        placeholder::Placeholder::parse(name).unwrap_or_else(|error| panic!("{error}"));
    }
    let missing: Vec<_> =
        placeholder::words().filter(|word| !named.iter().any(|name| name.starts_with(word))).collect();
    assert!(missing.is_empty(), "{missing:?} of {named:?}");
}
