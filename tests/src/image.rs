//! The image of the tests' pods: a static busybox, in the archive formats that users have.

use crate::command::{kubernix, program, run, run_for};
use kubernix_host::images::ImageBuilder;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// The image's name.
pub const IMAGE: &str = "kubernix.local/test/busybox:1.0.0";
/// The time limit of a tool's build.
const BUILD_TIMEOUT: Duration = Duration::from_secs(600);
/// Programs of busybox that the tests call.
const APPLETS: &[&str] = &["sh", "cat", "nc", "sleep", "tar", "ip", "ls", "nslookup"];

/// The path of a tool that `kubernix` finds, downloads or builds.
///
/// # Panics
/// The tool isn't available.
pub(crate) fn tool(name: &str) -> PathBuf {
    let found = run_for(kubernix().args(["toolchain", "ensure", name, "--output", "json"]), BUILD_TIMEOUT).ok();
    let path = &found.json()["tools"][name]["path"];
    path.as_str().unwrap_or_else(|| panic!("no {name} in {}", found.stdout)).into()
}

/// A static busybox.
///
/// # Panics
/// There is none.
pub fn busybox() -> PathBuf {
    tool("busybox")
}

/// Writes the image as an OCI archive into this directory. Tests that share the directory get the
/// same file.
///
/// # Panics
/// It can't be written.
pub fn oci_archive(directory: &Path) -> PathBuf {
    // Packing is slow, so it is done once for all tests.
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = ARCHIVE.get_or_init(|| {
        let busybox = fs::read(busybox()).expect("busybox can be read");
        let image = ImageBuilder::new(IMAGE).directory("tmp", 0o1777).entrypoint(["/bin/sh", "-c"]);
        // Copies instead of links to one file: a layer as users have it.
        let add = |image: ImageBuilder, applet: &&str| image.file(format!("bin/{applet}"), busybox.clone(), 0o755);
        let image = APPLETS.iter().fold(image, add);
        let place = tempfile::tempdir().expect("a temporary directory");
        let archive = place.path().join("busybox-oci.tar");
        image.write_archive(&archive).expect("an image");
        fs::read(archive).expect("the archive")
    });
    let archive = directory.join("busybox-oci.tar");
    let new = tempfile::NamedTempFile::new_in(directory).expect("a temporary file");
    fs::write(new.path(), bytes).expect("the archive can be written");
    new.persist(&archive).expect("the archive can be renamed");
    archive
}

/// Writes the image as a docker archive of another name into this directory.
///
/// # Panics
/// skopeo fails.
pub fn docker_archive(directory: &Path, name: &str) -> PathBuf {
    let (from, to) = (oci_archive(directory), directory.join("busybox-docker.tar"));
    let (source, target) =
        (format!("oci-archive:{}", from.display()), format!("docker-archive:{}:{name}", to.display()));
    run(program(tool("skopeo")).args(["--insecure-policy", "copy", &source, &target])).ok();
    to
}
