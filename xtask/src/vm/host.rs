//! What the host needs to make and run the machine, and where its packages come from: the host's own apt sources.

use crate::run;
use anyhow::{Context, Result, bail};

/// Programs, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("debootstrap", "debootstrap"),
    ("mkfs.ext4", "e2fsprogs"),
    ("dpkg-deb", "dpkg"),
];

/// Where Debian's packages come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The release's code name.
    pub suite: String,
    /// The repository.
    pub url: String,
}

/// Makes sure that the programs are there; says what it installs.
pub fn prepare() -> Result<()> {
    if run::output(run::command("id").arg("-u"))?.trim() != "0" {
        bail!("making the machine's disk needs root: debootstrap changes its root directory and owner of files");
    }
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !found(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing with apt-get: {}", missing.join(" "));
    run::checked(run::command("apt-get").args(["update", "--quiet=2"]))?;
    let mut install = run::command("apt-get");
    install.args(["install", "--yes", "--quiet=2", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]);
    run::checked(install.args(missing).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps a root's programs apart; not every root has them on PATH.
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(program)).any(|path| path.is_file())
}

/// The repository of this very release, so that what was built here runs there.
pub fn mirror() -> Result<Mirror> {
    let release = std::fs::read_to_string("/etc/os-release").context("can't tell which system this is")?;
    if let Some(mirror) = pick(&release, &targets()?)? {
        return Ok(mirror);
    }
    // On a fresh machine apt knows no packages yet.
    run::checked(run::command("apt-get").args(["update", "--quiet=2"]))?;
    pick(&release, &targets()?)?
        .context("apt's sources name no Debian repository of this release with the component `main`")
}

fn targets() -> Result<String> {
    let mut targets = run::command("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"]);
    run::output(targets.args(["Created-By: Packages", "Origin: Debian", "Label: Debian"]))
}

/// The repository of the system's own release out of apt's list.
fn pick(release: &str, targets: &str) -> Result<Option<Mirror>> {
    let field =
        |name: &str| release.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"'));
    let (Some("debian"), Some(suite)) = (field("ID="), field("VERSION_CODENAME=")) else {
        bail!("the machine is made out of the host's own apt sources, and this host isn't a Debian release");
    };
    let repository = targets.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [url, codename, "main"] if codename == suite => Some(url.to_owned()),
        _ => None,
    });
    Ok(repository.map(|url| Mirror { suite: suite.to_owned(), url }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "PRETTY_NAME=\"Debian\"\nVERSION_CODENAME=bookworm\nID=debian\n";

    #[test]
    fn the_repository_is_the_one_of_the_own_release() {
        let targets = "http://mirror.example/debian/ bookworm-updates main\nhttp://mirror.example/debian/ bookworm contrib\n\
                       http://mirror.example/debian/ bookworm main\n";
        let mirror = Mirror { suite: "bookworm".into(), url: "http://mirror.example/debian/".into() };
        assert_eq!(pick(RELEASE, targets).unwrap(), Some(mirror));
        assert_eq!(pick(RELEASE, "").unwrap(), None);
        assert!(pick("ID=fedora\n", targets).is_err());
    }
}
