//! Invalid values, and the errors that name them.

use super::*;

#[test]
fn a_syntax_error_has_line_and_column() {
    assert!(toml_error("name = \"a\"\n\n  port = = 3\n").starts_with("kubernix.toml:3:10: "));
    assert!(toml_error("[slots\ncri = \"crio\"").starts_with("kubernix.toml:1:7: "));
    assert!(toml_error("name = \"a\"\nname = \"b\"\n").starts_with("kubernix.toml:2:1: duplicate key"));
    assert!(toml_error("# ä\nname = \"ä").starts_with("kubernix.toml:2:"));
}

#[test]
fn an_unknown_key_gets_the_most_similar_one_and_its_line() {
    assert_eq!(
        toml_error("name = \"a\"\ncird = \"10.0.0.0/16\""),
        "kubernix.toml:2:1: unknown key `cird`, did you mean `cidr`?"
    );
    assert!(toml_error("boot_timeout = 3").ends_with("unknown key `boot_timeout`, did you mean `boot-timeout`?"));
    assert!(toml_error("[component.crio]").ends_with(":1:2: unknown key `component`, did you mean `components`?"));
    let error = toml_error("colour = 3");
    let mut known: Vec<&str> = Id::ALL.iter().map(|id| id.setting().key()).collect();
    known.extend(["components", "node", "registry", "slots"]);
    known.sort_unstable();
    assert!(error.ends_with(&format!("`colour`, there is `{}`", known.join("`, `"))), "{error}");
}

#[test]
fn values_in_files_must_be_valid_and_of_their_type() {
    assert_eq!(toml_error("\nport = \"6443\""), "kubernix.toml:2:8: `port` must be a number, not a string");
    assert!(toml_error("port = 0").contains(":1:8: `0` is not a port, give a number from 1 to 65535"));
    assert!(toml_error("name = 3").contains("`name` must be text in quotes, not an integer"));
    assert!(toml_error("install = \"no\"").contains("`install` must be true or false"));
    assert!(toml_error("slots = 1").contains("`slots` must be a table, not an integer"));
    assert!(toml_error("[slots]\ncri = true").contains(":2:7: `slots.cri` must be a component's name in quotes"));
    assert!(toml_error("[components]\ncrio = \"x\"").contains(":2:8: `components.crio` must be a table"));
    assert!(toml_error("[components.crio]\nargs = [1]").contains(":2:8: `components.crio.args` must be text"));
    assert!(toml_error("cidr = \"10.10.3.0/16\"").contains(":1:8: `10.10.3.0/16` has host bits set"));
    assert!(toml_error("[components.\"a.b\"]\nc = 1").contains("`a.b` is not a name"));
    let fits = "[components.x]\na = 3\nb = 0.5\nc = true\nd = \"text\"";
    let parameters = &Partial::from_toml(Path::new("f"), fits).unwrap().components["x"];
    assert_eq!(parameters.values().collect::<Vec<_>>(), ["3", "0.5", "true", "text"]);
}

#[test]
fn an_invalid_variable_is_named() {
    assert_eq!(
        env_error("KUBERNIX_PORT", "http"),
        "KUBERNIX_PORT: `http` is not a port, give a number from 1 to 65535"
    );
    assert!(env_error("KUBERNIX_CIDR", "10.0.0.0").starts_with("KUBERNIX_CIDR: `10.0.0.0` is not an IPv4 CIDR"));
    assert!(env_error("KUBERNIX_INSTALL", "maybe").contains("KUBERNIX_INSTALL: `maybe` is neither true nor false"));
    assert!(env_error("KUBERNIX_BOOT_TIMEOUT", "0").contains("`0` is not a number of seconds from 1 to 86400"));
    assert!(env_error("KUBERNIX_SET", "cri").contains("KUBERNIX_SET: `cri` is neither ROLE=COMPONENT nor"));
    assert!(env_error("KUBERNIX_NAME", "My_Cluster").contains("KUBERNIX_NAME: `My_Cluster` can't name a cluster"));
    use std::os::unix::ffi::OsStringExt;
    let bytes = std::ffi::OsString::from_vec(vec![0xff]);
    let error = Partial::from_env([("KUBERNIX_NAME".into(), bytes)] as [(std::ffi::OsString, _); 1]).unwrap_err();
    assert!(error.to_string().contains("KUBERNIX_NAME: ") && error.to_string().ends_with("is not UTF-8"));
}

#[test]
fn empty_variables_count_as_not_set_and_misspelt_ones_get_a_note() {
    let env = [("KUBERNIX_PORT", ""), ("KUBERNIX_CIDER", "x"), ("KUBERNIX_SOMETHING_ELSE", "x"), ("CIDR", "x")];
    let partial = Partial::from_env(env).unwrap();
    assert_eq!(partial.notes, ["the variable `KUBERNIX_CIDER` is unknown, did you mean `KUBERNIX_CIDR`?"]);
    assert_eq!(Partial { notes: Vec::new(), ..partial }, Partial::default());
}

#[test]
fn names_are_labels_and_an_invalid_one_gets_a_proposal() {
    let error = |name| parse_name(name).unwrap_err().to_string();
    assert_eq!(parse_name("a-1").unwrap(), "a-1");
    assert!(error("My Cluster").ends_with(", as in `my-cluster`"));
    for name in ["", "-a", "a-", "..", "a/b", "ä", &"a".repeat(41)] {
        assert!(error(name).contains(&format!("`{name}` can't name a cluster")), "{name}");
    }
    assert!(parse_name(&"a".repeat(40)).is_ok());
    let fixture = Fixture::new();
    let flags = Partial { name: Some("../x".into()), ..Partial::default() };
    assert!(fixture.resolve(flags, &[]).unwrap_err().to_string().starts_with("--name: `../x` can't name"));
}

#[test]
fn a_cidr_without_an_address_plan_is_rejected_with_its_flag() {
    let fixture = Fixture::new();
    for (given, reason) in
        [("10.1.2.3/16", "host bits"), ("10.0.0.0/28", "too small"), ("127.0.0.0/16", "reserved (loopback)")]
    {
        let error = fixture.resolve(Partial { cidr: cidr(given), ..Partial::default() }, &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--cidr: `{given}`")) && error.contains(reason), "{error}");
    }
}

#[test]
fn set_arguments_without_a_valid_form_are_rejected() {
    let error = |form| set::check(form).unwrap_err().to_string();
    let partial = sets(&["cri=crio", "crio.args=--a=b,c", "cri=containerd"]);
    assert_eq!(partial.slots["cri"], "containerd", "the last counts");
    assert_eq!(partial.components["crio"]["args"], "--a=b,c");
    let env = Partial::from_env([("KUBERNIX_SET", r"crio.args=a\,b, cri=crio,")]).unwrap();
    assert_eq!((env.components["crio"]["args"].as_str(), env.slots["cri"].as_str()), ("a,b", "crio"));
    assert_eq!(set::check("crio.binary=/x").unwrap(), "crio.binary=/x");
    assert!(error("crio").starts_with("--set: `crio` is neither"));
    for form in ["=x", "crio.=x", "cri="] {
        assert!(error(form).contains("`` is not a name"), "{form}");
    }
    assert!(error("cidr=10.0.0.0/8").contains("`cidr` is a setting of its own, give --cidr"));
}
