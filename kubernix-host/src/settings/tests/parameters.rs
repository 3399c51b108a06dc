//! Values of components' parameters.

use super::*;

#[test]
fn an_invalid_value_gets_the_valid_ones() {
    let mut catalogue = catalogue();
    catalogue.components[1].parameters.push(Parameter::new("stop-timeout", "5", "").number(1..=50));
    let fixture = Fixture::new();
    let check = |forms: &[&str]| fixture.resolve(sets(forms), &[]).unwrap().validate(&catalogue);
    check(&["crio.stop-timeout=50", "node-0/crio.stop-timeout=1"]).unwrap();
    assert_eq!(
        check(&["crio.stop-timeout=51"]).unwrap_err().to_string(),
        "--set crio.stop-timeout: component `crio`: parameter `stop-timeout` is `51`: use a number from 1 to 50"
    );
    assert!(check(&["node-0/crio.stop-timeout=x"]).unwrap_err().to_string().contains("`stop-timeout` is `x`"));
    fixture.write("kubernix.toml", "[components.crio]\nstop-timeout = 0");
    let error = fixture.resolve(Partial::default(), &[]).unwrap().validate(&catalogue).unwrap_err().to_string();
    assert!(error.contains("kubernix.toml:2: component `crio`: parameter `stop-timeout` is `0`"), "{error}");
}

#[test]
fn parameters_are_listed_with_their_valid_values() {
    let mut catalogue = catalogue();
    catalogue.components[1].parameters = vec![Parameter::new("log-level", "info", "").choice(&["info", "debug"])];
    let rows = show_all(&Fixture::new().resolve(Partial::default(), &[]).unwrap(), &catalogue);
    let row = rows.iter().find(|row| row.key == "components.crio.log-level").unwrap();
    assert_eq!(row.fits, "one of info, debug");
    let forms = set_forms(&catalogue);
    for form in ["cri=crio", "crio.log-level=info", "crio.log-level=debug", "etcd.quota-mb="] {
        assert!(forms.iter().any(|one| one == form), "{form} is not in {forms:?}");
    }
}
