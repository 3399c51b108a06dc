//! The programs that the host needs for the machine, and the Debian repository of its packages,
//! from the host's apt sources.

use crate::run;
use anyhow::{Context, Result, bail};

/// Programs, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("debootstrap", "debootstrap"),
    ("mkfs.ext4", "e2fsprogs"),
    ("dpkg-deb", "dpkg"),
];

/// A Debian repository.
#[derive(Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The release's code name.
    pub suite: String,
    /// The repository.
    pub url: String,
}

/// Installs missing programs, and prints their packages.
pub fn prepare() -> Result<()> {
    if run::output(run::command("id").arg("-u"))?.trim() != "0" {
        bail!("creating the machine's disk needs root: debootstrap changes its root directory and the owners of files");
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
    // On Debian, these programs are in sbin directories, which may be missing in PATH.
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories.map(|directory| directory.join(program)).any(|path| path.is_file())
}

/// The repository of the host's own release, so that binaries built here run in the machine.
pub fn mirror() -> Result<Mirror> {
    let release = std::fs::read_to_string("/etc/os-release").context("can't determine the host's release")?;
    if let Some(mirror) = pick(&release, &targets()?)? {
        return Ok(mirror);
    }
    // On a new host, apt has no package lists yet.
    run::checked(run::command("apt-get").args(["update", "--quiet=2"]))?;
    pick(&release, &targets()?)?
        .context("apt's sources have no Debian repository of this release with the component `main`")
}

fn targets() -> Result<String> {
    let mut targets = run::command("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"]);
    run::output(targets.args(["Created-By: Packages", "Origin: Debian", "Label: Debian"]))
}

/// Selects the repository of the host's release from apt's list.
fn pick(release: &str, targets: &str) -> Result<Option<Mirror>> {
    let field =
        |name: &str| release.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"'));
    let (Some("debian"), Some(suite)) = (field("ID="), field("VERSION_CODENAME=")) else {
        bail!("the machine is created from the host's apt sources, but this host isn't a Debian release");
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
    fn the_repository_is_that_of_the_hosts_release() {
        let targets = "http://mirror.example/debian/ bookworm-updates main\nhttp://mirror.example/debian/ bookworm contrib\n\
                       http://mirror.example/debian/ bookworm main\n";
        let mirror = Mirror { suite: "bookworm".into(), url: "http://mirror.example/debian/".into() };
        assert_eq!(pick(RELEASE, targets).unwrap(), Some(mirror));
        assert_eq!(pick(RELEASE, "").unwrap(), None);
        assert!(pick("ID=fedora\n", targets).is_err());
    }
}
