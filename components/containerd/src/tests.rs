//! Tests of the plan in several contexts.

use super::*;
use kubernix_core::{Output, facts};
use kubernix_testkit::kit::assert_conforms;
use kubernix_testkit::{FakeContext, assert_pure, before_stop, file, import_image, plan};

fn dir() -> String {
    format!("/var/lib/kubernix/test/nodes/node-0/{NAME}")
}

fn config(ctx: &FakeContext) -> String {
    file(&assert_pure(&component(), ctx), "/config.toml").to_owned()
}

fn assert_has(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
}

#[test]
fn it_conforms() {
    assert_conforms(component);
}

#[test]
fn every_path_is_in_the_nodes_directory_or_volatile() {
    let config = config(&FakeContext::new());
    let own = [dir(), format!("/run/kubernix/{NAME}"), "/opt/bin".into()];
    let paths: Vec<&str> = config.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/')).collect();
    assert!(paths.len() > 8, "{paths:?}");
    for path in paths {
        assert!(own.iter().any(|own| path.starts_with(own)), "{path}");
    }
}

#[test]
fn the_socket_has_a_checked_path_and_a_probe() {
    let plan = assert_pure(&component(), &FakeContext::new());
    let socket = dir() + "/containerd.sock";
    assert_eq!(plan.provides[0].url, format!("unix://{socket}"));
    assert_eq!(plan.provides[0].probe, Probe::cri(socket));
    let long = FakeContext::new().root(&format!("/{}", "r".repeat(100)));
    let error = self::plan(&component(), &long).unwrap_err().to_string();
    assert_has(&error, &["the kernel allows 107", "--root"]);
}

#[test]
fn the_config_follows_the_hosts_facts() {
    assert_has(&config(&FakeContext::new()), &["restrict_oom_score_adj = false", "snapshotter = \"overlayfs\""]);
    let poor = FakeContext::new().fact(facts::LOWER_OOM_SCORE, "false").fact(facts::OVERLAY, "false");
    assert_has(&config(&poor), &["restrict_oom_score_adj = true", "snapshotter = \"native\"", "SystemdCgroup = false"]);
}

#[test]
fn the_parameter_selects_the_oci_runtime() {
    let wanted = |name: &str, path: &str| {
        [format!("default_runtime_name = \"{name}\""), format!("runtimes.\"{name}\".options]\nBinaryName = \"{path}\"")]
    };
    for (value, name, path) in
        [("runc", "runc", "/opt/bin/runc"), ("crun", "crun", "/opt/bin/crun"), ("/x/own", "own", "/x/own")]
    {
        let config = config(&FakeContext::new().parameter("runtime", value));
        assert_has(&config, &wanted(name, path).each_ref().map(String::as_str));
    }
    let error = plan(&component(), &FakeContext::new().parameter("runtime", "/x/a b")).unwrap_err().to_string();
    assert_has(&error, &["`/x/a b` has a file name"]);
}

#[test]
fn the_cni_config_uses_the_pod_cidr_and_nftables() {
    let plan = assert_pure(&component(), &FakeContext::new());
    let wanted = [
        r#""subnet": "10.10.0.0/24""#,
        &format!(r#""dataDir": "/run/kubernix/{NAME}/ipam""#),
        r#""ipMasq": false"#,
        r#""type": "portmap", "backend": "nftables""#,
    ];
    assert_has(file(&plan, "/cni/10-kubernix.conflist"), &wanted);
}

#[test]
fn parameters_that_cannot_be_are_refused() {
    for (name, value) in [("log-level", "loud"), ("stop-timeout", "0"), ("stop-timeout", "soon")] {
        let error = plan(&component(), &FakeContext::new().parameter(name, value)).unwrap_err().to_string();
        assert_has(&error, &[&format!("`{name}` is"), value]);
    }
}

#[test]
fn a_graceful_stop_stops_containers_and_then_removes_all_pods() {
    let ctx = FakeContext::new().parameter("stop-timeout", "9");
    let plan = assert_pure(&component(), &ctx);
    assert_has(file(&plan, "/stop-pods"), &["cri stop-containers 9\ncri remove-pods 10\n"]);
    before_stop(&component(), &ctx).unwrap();
    assert_eq!(ctx.commands()[0].program, dir() + "/stop-pods");

    let ctx = FakeContext::new().output(Output::new(1, "", "no such socket\n"));
    let error = before_stop(&component(), &ctx).unwrap_err();
    assert_eq!(error.to_string(), "stop-pods exited with 1: no such socket");
}

#[test]
fn images_are_imported_by_a_script() {
    let ctx = FakeContext::new();
    let command = import_image(&component(), &ctx, "docker-archive:/x.tar", "a.b/c:1").unwrap().unwrap();
    assert_eq!(command, Command::new(dir() + "/import-image", ["docker-archive:/x.tar", "a.b/c:1"]));
    let plan = assert_pure(&component(), &ctx);
    let script = plan.files.iter().find(|file| file.path == command.program).unwrap();
    assert_eq!(script.mode, 0o700);
    assert_has(&script.content, &["'/opt/bin/ctr' --address='", "--snapshotter=overlayfs"]);
}
