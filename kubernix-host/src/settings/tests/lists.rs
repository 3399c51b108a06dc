//! Settings with several values: mirrors and published ports.

use super::*;

#[test]
fn mirrors_keep_their_order_for_each_registry() {
    let text = "[registry.mirrors]\n\"docker.io\" = [\"https://a.example/hub/\", \"http://cache:5000\"]\nlocalhost = \"http://b\"";
    let mirrors = Partial::from_toml(Path::new("f"), text).unwrap().mirrors;
    assert_eq!(mirrors["docker.io"], ["https://a.example/hub", "http://cache:5000"]);
    assert_eq!(mirrors["localhost"], ["http://b"]);
    let fixture = Fixture::new();
    fixture.write("kubernix.toml", text);
    let set = sets(&["registry.mirrors.docker.io=https://c.example,http://10.0.0.1:5000/x"]);
    let resolved = fixture.resolve(set, &[]).unwrap();
    assert_eq!(resolved.settings.mirrors["docker.io"], ["https://c.example", "http://10.0.0.1:5000/x"]);
    assert_eq!(resolved.origins["registry.mirrors.docker.io"].to_string(), "--set registry.mirrors.docker.io");
    assert_eq!(resolved.settings.mirrors["localhost"], ["http://b"]);
    let saved = Partial::from_toml(Path::new("f"), &resolved.settings.to_toml()).unwrap();
    assert_eq!(saved.mirrors, resolved.settings.mirrors);
    let env = Partial::from_env([("KUBERNIX_SET", r"registry.mirrors.quay.io=https://a\,https://b.example")]).unwrap();
    assert_eq!(env.mirrors["quay.io"], ["https://a", "https://b.example"]);
}

#[test]
fn an_invalid_mirror_or_registry_is_rejected() {
    let rejection = |form: &str| set::check(&format!("registry.mirrors.{form}")).unwrap_err().to_string();
    assert!(rejection("docker.io=mirror.example").contains("`mirror.example` is not a URL"));
    assert!(rejection("docker.io=ftp://mirror.example").contains("`ftp://mirror.example` has a scheme"));
    assert!(rejection("docker.io=https://me:secret@mirror.example").contains("more parts than host, port and path"));
    assert!(rejection("docker.io=https://").contains("`https://` has no valid host"));
    assert!(rejection("docker.io=https://a b\"").contains("`b\"` is not a URL"));
    assert!(rejection("docker.io=").contains("there is no mirror"));
    for registry in ["docker", "docker.io/", "docker.io:port", "a b.example", ""] {
        assert!(
            rejection(&format!("{registry}=https://a")).contains(&format!("`{registry}` is not a registry")),
            "{registry}"
        );
    }
    assert!(
        toml_error("[registry.mirrors]\n\"docker.io\" = 3")
            .contains(":2:15: `registry.mirrors.docker.io` must be a list")
    );
    assert!(
        toml_error("[registry]\nmirror = 3")
            .contains(":2:1: unknown key `mirror` of `registry`, did you mean `mirrors`?")
    );
    assert_eq!(env_error("KUBERNIX_UPLINK", "no"), "KUBERNIX_UPLINK: `no` is none of auto, always and none");
}

#[test]
fn ports_are_published_by_flags_variables_and_files_without_duplicates() {
    let fixture = Fixture::new();
    let published =
        |resolved: &Resolved| resolved.settings.publish.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    fixture.write("kubernix.toml", "name = \"a\"\npublish = [\"8080:30080\", \"[::1]:53:30053/udp\", \"8080:30080\"]");
    let of_file = fixture.resolve(Partial::default(), &[]).unwrap();
    assert_eq!(published(&of_file), "127.0.0.1:8080:30080 [::1]:53:30053/udp");
    assert_eq!(fixture.origin(&of_file, "publish"), "kubernix.toml:2");
    let env = [("KUBERNIX_PUBLISH", "1:2, 0.0.0.0:3:4/udp")];
    assert_eq!(published(&fixture.resolve(Partial::default(), &env).unwrap()), "127.0.0.1:1:2 0.0.0.0:3:4/udp");
    let flags = || Partial { publish: Some(vec!["5:6".parse().unwrap()]), ..Partial::default() };
    let of_flag = fixture.resolve(flags(), &env).unwrap();
    assert_eq!(
        (published(&of_flag).as_str(), fixture.origin(&of_flag, "publish").as_str()),
        ("127.0.0.1:5:6", "--publish")
    );

    // A list replaces a saved one, with a note. So does an empty list.
    fixture.boot(flags());
    let notes = fixture.resolve(Partial::default(), &[]).unwrap().notes.join("\n");
    assert!(notes.starts_with("publish: `127.0.0.1:8080:30080,[::1]:53:30053/udp` ("), "{notes}");
    fixture.write("kubernix.toml", "name = \"a\"\npublish = []");
    assert_eq!(published(&fixture.resolve(Partial::default(), &[]).unwrap()), "");
    fixture.write("kubernix.toml", "name = \"a\"");
    assert_eq!(published(&fixture.resolve(Partial::default(), &[]).unwrap()), "127.0.0.1:5:6");
}

#[test]
fn an_invalid_published_port_has_its_origin() {
    let error = toml_error("publish = [\"8080\"]");
    assert!(
        error.starts_with("kubernix.toml:1:11: `8080` can't be published: the port of the nodes is missing; write"),
        "{error}"
    );
    assert!(
        toml_error("publish = [8080]")
            .contains(":1:11: `publish` must be a list of HOST:NODEPORT in quotes, not an array")
    );
    assert!(
        env_error("KUBERNIX_PUBLISH", "0:1")
            .starts_with("KUBERNIX_PUBLISH: `0:1` can't be published: `0` is not a port")
    );
    let fixture = Fixture::new();
    let twice = [("KUBERNIX_PUBLISH", "8080:1,8080:2")];
    let error = fixture.resolve(Partial::default(), &twice).unwrap_err().to_string();
    assert_eq!(error, "KUBERNIX_PUBLISH: 127.0.0.1:8080/tcp can't be forwarded to both 1 and 2");
    assert!(toml_error("merge-kubeconfig = \"yes\"").contains(":1:20: `merge-kubeconfig` must be true or false"));
    assert!(env_error("KUBERNIX_MERGE_KUBECONFIG", "maybe").contains("`maybe` is neither true nor false"));
}
