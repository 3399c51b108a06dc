//! Settings against the catalogue of components.

use super::*;

fn invalid(forms: &[&str]) -> String {
    Fixture::new().resolve(sets(forms), &[]).unwrap().validate(&catalogue()).unwrap_err().to_string()
}

#[test]
fn an_unknown_name_gets_the_most_similar_one_and_its_origin() {
    assert_eq!(invalid(&["cri=criio"]), "--set cri: unknown component `criio`, did you mean `crio`?");
    assert_eq!(invalid(&["datastor=etcd"]), "--set datastor: unknown role `datastor`, did you mean `datastore`?");
    assert_eq!(
        invalid(&["crio.loglevel=3"]),
        "--set crio.loglevel: unknown parameter `loglevel` of `crio`, did you mean `log-level`?"
    );
    assert_eq!(invalid(&["cryo.log-level=3"]), "--set cryo.log-level: unknown component `cryo`, did you mean `crio`?");
    assert_eq!(invalid(&["run.binary=/x"]), "--set run.binary: unknown component `run`, did you mean `runc`?");
    assert!(
        invalid(&["runc.args=x"])
            .ends_with("unknown parameter `args` of the binary `runc`, there is `any-version`, `binary`")
    );
    assert!(invalid(&["crio=containerd"]).ends_with("unknown role `crio`: this is a component, which can fill `cri`"));
    assert!(invalid(&["zzzzzzz=etcd"]).ends_with("there is `apiserver`, `apiserver-port`, `cri`, `datastore`"));
}

#[test]
fn an_unknown_name_in_a_file_has_its_line() {
    let fixture = Fixture::new();
    fixture.write("kubernix.toml", "[slots]\n\ncri = \"crioo\"");
    let error = fixture.resolve(Partial::default(), &[]).unwrap().validate(&catalogue()).unwrap_err().to_string();
    assert!(error.contains("kubernix.toml:3: unknown component `crioo`, did you mean `crio`?"), "{error}");
}

#[test]
fn a_component_that_doesnt_provide_the_role_of_its_slot_is_rejected() {
    assert_eq!(
        invalid(&["cri=etcd"]),
        "--set cri: `etcd` can't fill the slot `cri`: it provides `datastore`; `cri` can be filled by `crio`, `containerd`"
    );
    let fits = Fixture::new().resolve(sets(&["cri=containerd", "crio.log-level=x", "runc.binary=/x"]), &[]).unwrap();
    fits.validate(&catalogue()).unwrap();
}

#[test]
fn a_binary_is_named_by_its_own_name_or_its_components() {
    let fixture = Fixture::new();
    let forms = ["crio.binary=/a/crio", "conmon.binary=/a/conmon", "apiserver.binary=/a/api", "busybox.binary=/a/box"];
    let settings = fixture.resolve(sets(&forms), &[]).unwrap().settings;
    let paths = binary_overrides(&settings, &catalogue()).unwrap();
    let expected = [("busybox", "/a/box"), ("conmon", "/a/conmon"), ("crio", "/a/crio"), ("kube-apiserver", "/a/api")];
    assert_eq!(paths, expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).into());
    let error = invalid(&["apiserver.binary=/a", "kube-apiserver.binary=/b"]);
    assert!(error.contains("`kube-apiserver` gets two paths, `/a` and `/b`"), "{error}");
}

#[test]
fn rows_have_origins_in_json() {
    let fixture = Fixture::new();
    let resolved = fixture.resolve(sets(&["crio.log-level=2"]), &[]).unwrap();
    let rows = show_all(&resolved, &catalogue());
    let json = serde_json::to_value(&rows).unwrap();
    let find = |key: &str| json.as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!(find("components.crio.log-level")["origin"]["at"], "--set crio.log-level");
    assert_eq!(find("components.crio.log-level")["origin"]["source"], "flag");
    let default = find("components.etcd.quota-mb");
    assert_eq!((&default["value"], &default["origin"]["source"]), (&"1".into(), &"default".into()));
    assert_eq!(find("port")["value"], "first free from 6443");
}
