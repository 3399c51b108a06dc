//! Checks the endpoint of a role: `live ROLE URL [CA CERT KEY]` or `live cri URL IMAGE`. Run it
//! inside a cluster: `kubernix enter -- live datastore https://10.10.192.1:2379 pki/etcd-ca.crt
//! ...`.

use kubernix_testkit::kit::Report;
use kubernix_testkit::live::{Target, check};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, url, rest @ ..] = &arguments[..] else {
        return Err(std::io::Error::other("name a role and its URL"));
    };
    let mut target = Target { url: url.clone(), ..Target::default() };
    match rest {
        [image] => target.image = image.clone(),
        [ca, cert, key] => {
            target.ca = std::fs::read_to_string(ca)?;
            target.cert = std::fs::read_to_string(cert)?;
            target.key = std::fs::read_to_string(key)?;
        }
        _ => {}
    }
    let report = Report { component: role.clone(), checks: check(role, &target) };
    println!("{report}");
    if report.passed() { Ok(()) } else { Err(std::io::Error::other("the role's checks failed")) }
}
