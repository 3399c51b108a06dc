//! Tests of the plan in several contexts.

use super::*;
use kubernix_core::{Node, Output, facts};
use kubernix_testkit::{FakeContext, assert_pure, before_stop, file, import_image, plan};

fn conf(ctx: &FakeContext) -> String {
    file(&assert_pure(&component(), ctx), "/crio/crio.conf").to_owned()
}

fn refused(ctx: &FakeContext) -> String {
    plan(&component(), ctx).expect_err("the plan has to fail").to_string()
}

fn assert_has(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
}

#[test]
fn it_conforms() {
    kubernix_testkit::kit::assert_conforms(component);
}

#[test]
fn every_path_is_in_the_nodes_directory_or_volatile() {
    let plan = assert_pure(&component(), &FakeContext::new());
    let own = ["/var/lib/kubernix/test/nodes/node-0/crio", "/run/kubernix/crio", "/opt/bin"];
    let quoted = plan.files.iter().flat_map(|file| file.content.split('"').skip(1).step_by(2));
    let paths: Vec<&str> = quoted.filter(|text| text.starts_with('/')).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        assert!(own.iter().any(|own| path.starts_with(own)), "{path}");
    }
}

#[test]
fn the_socket_has_a_checked_path_and_a_probe() {
    let plan = assert_pure(&component(), &FakeContext::new());
    let socket = "/var/lib/kubernix/test/nodes/node-0/crio/crio.sock";
    assert_eq!(plan.provides[0].url, format!("unix://{socket}"));
    assert_eq!(plan.provides[0].probe, Probe::cri(socket));
}

#[test]
fn a_socket_path_of_107_bytes_fits_and_one_of_108_does_not() {
    let rest = "/nodes/node-0/crio/crio.sock".len();
    let root = |bytes: usize| format!("/{}", "r".repeat(bytes - rest - 1));
    assert_pure(&component(), &FakeContext::new().root(&root(107)));
    let error = refused(&FakeContext::new().root(&root(108)));
    assert_has(&error, &["crio.sock` has 108 bytes, the kernel allows 107", "shorter --root or --name"]);
}

#[test]
fn attach_sockets_below_the_volatile_directory_are_checked_as_well() {
    let volatile = |bytes: usize| format!("/{}", "v".repeat(bytes - "/crio".len() - 1));
    assert_pure(&component(), &FakeContext::new().volatile(&volatile(35)));
    assert_has(&refused(&FakeContext::new().volatile(&volatile(36))), &["/attach` has 108 bytes"]);
}

#[test]
fn a_root_with_a_separator_of_image_references_is_rejected() {
    let error = refused(&FakeContext::new().root("/srv/a+b"));
    assert_has(&error, &["/srv/a+b/nodes/node-0/crio` has a `+`", "--root"]);
}

#[test]
fn storage_falls_back_to_vfs_if_overlay_cannot_be_mounted() {
    let overlay = r#"storage_option = ["overlay.imagestore=/var/lib/kubernix/test/shared/crio/images"]"#;
    assert_has(&conf(&FakeContext::new()), &["storage_driver = \"overlay\"", overlay]);
    assert_has(&conf(&FakeContext::new().without_fact(facts::OVERLAY)), &["storage_driver = \"overlay\""]);
    let without = FakeContext::new().fact(facts::OVERLAY, "false");
    assert_has(&conf(&without), &["storage_driver = \"vfs\"", "[\"vfs.imagestore="]);
    assert_has(&conf(&without.parameter("storage-driver", "overlay")), &["storage_driver = \"overlay\""]);
}

#[test]
fn the_cni_config_uses_the_pod_cidr_and_nftables() {
    let node = Node::new("node-2", 2, "10.7.192.4", "10.7.2.0/24");
    let plan = assert_pure(&component(), &FakeContext::new().node(node));
    let conflist = file(&plan, "/nodes/node-2/crio/cni/10-kubernix.conflist");
    let wanted = [
        r#""subnet": "10.7.2.0/24""#,
        r#""dataDir": "/run/kubernix/crio/ipam""#,
        r#""ipMasq": false"#,
        r#""isGateway": true"#,
        r#""hairpinMode": true"#,
    ];
    assert_has(conflist, &wanted);
}

#[test]
fn mirrors_are_tried_before_the_registry() {
    let registries = |ctx: &FakeContext| file(&assert_pure(&component(), ctx), "/registries.conf").to_owned();
    assert!(!registries(&FakeContext::new()).contains("[[registry]]"));
    let lines = "docker.io https://a.example/hub http://10.0.0.1:5000\n127.0.0.1:5001 http://10.10.192.1:5000";
    let text = registries(&FakeContext::new().fact(facts::REGISTRIES, lines));
    let hub = "\n[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n\
        [[registry.mirror]]\nlocation = \"a.example/hub\"\ninsecure = false\n\
        [[registry.mirror]]\nlocation = \"10.0.0.1:5000\"\ninsecure = true\n";
    assert_has(&text, &[hub, "prefix = \"127.0.0.1:5001\"", "location = \"10.10.192.1:5000\"\ninsecure = true"]);
}

#[test]
fn the_runtime_is_called_directly_if_oom_scores_can_be_lowered() {
    let plan = assert_pure(&component(), &FakeContext::new());
    assert_has(file(&plan, "crio.conf"), &["default_runtime = \"runc\"", "runtime_path = \"/opt/bin/runc\""]);
    assert!(!plan.files.iter().any(|file| file.path.ends_with("/oci-runtime")));
    let other = conf(&FakeContext::new().parameter("runtime", "crun"));
    assert_has(&other, &["default_runtime = \"crun\"", "runtime_path = \"/opt/bin/crun\""]);
}

#[test]
fn the_runtime_is_wrapped_if_oom_scores_cannot_be_lowered() {
    let ctx = FakeContext::new().fact(facts::LOWER_OOM_SCORE, "false").parameter("runtime", "/o'clock/crun");
    let plan = assert_pure(&component(), &ctx);
    let script = plan.files.iter().find(|file| file.path.ends_with("/crio/oci-runtime")).unwrap();
    assert_eq!(script.mode, 0o700);
    assert_has(&script.content, &[r#"exec '/opt/bin/kubernix' oci-runtime-shim '/o'\''clock/crun' "$@""#]);
    let runtime = format!("[crio.runtime.runtimes.\"crun\"]\nruntime_path = \"{}\"", script.path);
    assert_has(file(&plan, "crio.conf"), &[&runtime]);
}

#[test]
fn parameters_reach_the_configuration_and_wrong_ones_are_named() {
    assert_has(&conf(&FakeContext::new().parameter("log-level", "debug")), &["log_level = \"debug\""]);
    assert_has(&conf(&FakeContext::new().fact(facts::CGROUP_DRIVER, "systemd")), &["cgroup_manager = \"systemd\""]);
    for (name, value, wanted) in [
        ("log-level", "loud", "`log-level` is `loud`: use one of trace, debug"),
        ("storage-driver", "zfs", "`storage-driver` is `zfs`"),
        ("runtime", "/x/a b", "OCI runtime `/x/a b` has a file name"),
    ] {
        assert_has(&refused(&FakeContext::new().parameter(name, value)), &[wanted]);
    }
    for value in ["0", "soon"] {
        let ctx = FakeContext::new().parameter("stop-timeout", value);
        let error = before_stop(&component(), &ctx).unwrap_err().to_string();
        assert_has(&error, &[&format!("`stop-timeout` is `{value}`: use a number from 1 to 50")]);
    }
}

#[test]
fn a_graceful_stop_removes_all_pods_first() {
    let ctx = FakeContext::new().parameter("stop-timeout", "9");
    before_stop(&component(), &ctx).unwrap();
    let socket = "/var/lib/kubernix/test/nodes/node-0/crio/crio.sock";
    let wanted = Command::new("/opt/bin/kubernix", ["cri-client", socket, "remove-pods", "10"]);
    assert_eq!(ctx.commands(), [wanted]);
}

#[test]
fn pods_that_cannot_be_removed_are_reported() {
    let ctx = FakeContext::new().output(Output::new(1, "", "no such socket\n"));
    let error = before_stop(&component(), &ctx).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::COMMAND);
    assert_eq!(error.to_string(), "removing all pods exited with 1: no such socket");
}

#[test]
fn images_are_imported_into_the_read_only_store() {
    let import = |ctx: &FakeContext, archive: &str| import_image(&component(), ctx, archive, "a.b/c:1");
    let command = import(&FakeContext::new(), "oci-archive:/x.tar").unwrap().unwrap();
    let dir = "/var/lib/kubernix/test/nodes/node-0/crio";
    let images = "/var/lib/kubernix/test/shared/crio/images";
    let store = format!("[overlay@{images}+/run/kubernix/crio/import:overlay.skip_mount_home=true]");
    assert_eq!(command.program, "/opt/bin/skopeo");
    assert_eq!(command.args[0], format!("--policy={dir}/policy.json"));
    assert_eq!(command.args[4..], ["oci-archive:/x.tar", &format!("containers-storage:{store}a.b/c:1")]);

    let vfs = FakeContext::new().fact(facts::OVERLAY, "false");
    let command = import(&vfs, "docker-archive:/x.tar").unwrap().unwrap();
    assert_has(&command.args[5], &[&format!("[vfs@{images}+/run/kubernix/crio/import]a.b/c:1")]);

    let error = import(&FakeContext::new(), "/x.tar").unwrap_err().to_string();
    assert_has(&error, &["`/x.tar` isn't an archive: use oci-archive:PATH, oci:PATH or docker-archive:PATH"]);
}
