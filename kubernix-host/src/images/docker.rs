//! Reads and checks the images of a docker archive.

use super::archive::{Found, ImageConfig, json, layer_title};
use super::contents::{Contents, Entry};
use super::{Error, Problem, reference};
use serde::Deserialize;
use std::path::Path;

/// An image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    /// The config's path.
    config: String,
    repo_tags: Option<Vec<String>>,
    /// The layers' paths.
    layers: Vec<String>,
}

/// The images of `manifest.json`.
pub(super) fn images(path: &Path, manifest: &Entry, contents: &Contents) -> Result<Vec<Found>, Error> {
    let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
    let manifests: Vec<Manifest> = json("manifest.json", manifest).map_err(|problem| damaged(problem.to_string()))?;
    if manifests.is_empty() {
        return Err(damaged("its manifest.json names no image".to_owned()));
    }
    let mut images = Vec::new();
    for (number, manifest) in manifests.iter().enumerate() {
        let error = |image: String| move |problem| Error::Image { path: path.to_owned(), image, problem };
        let tags = manifest.repo_tags.as_deref().unwrap_or_default();
        let Some(first) = tags.first() else {
            let problem = Problem::Nameless("no RepoTags".to_owned());
            return Err(error((number + 1).to_string())(problem));
        };
        let id = image(manifest, contents).map_err(error(format!("`{first}`")))?;
        for tag in tags {
            let reference = reference::full(tag).map_err(error(format!("`{tag}`")))?;
            let selector = (manifests.len() > 1).then(|| reference.clone());
            images.push(Found { reference, id: id.clone(), selector });
        }
    }
    Ok(images)
}

/// Checks an image; returns its ID.
fn image(manifest: &Manifest, contents: &Contents) -> Result<String, Problem> {
    let entry = part("its config", &manifest.config, contents)?;
    let name = manifest.config.strip_suffix(".json").unwrap_or(&manifest.config);
    if let Some(digest) = digest_in(name) {
        check("its config", &manifest.config, &entry.sha256, digest)?;
    }
    let config = ImageConfig::parse(entry)?;
    let (count, named) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if count != named {
        let reason = format!("it names {named} layers, manifest.json {count}");
        return Err(Problem::Malformed { part: "its config".to_owned(), reason });
    }
    for (index, (path, diff_id)) in manifest.layers.iter().zip(&config.rootfs.diff_ids).enumerate() {
        let title = layer_title(index, count);
        let entry = part(&title, path, contents)?;
        // The config has the hash of the unpacked layer. The file's name may be the hash of the
        // file.
        let unpacked = entry.unpacked_sha256.as_ref().unwrap_or(&entry.sha256);
        check(&title, path, unpacked, diff_id.strip_prefix("sha256:").unwrap_or(diff_id))?;
        if let Some(digest) = path.strip_prefix("blobs/sha256/") {
            check(&title, path, &entry.sha256, digest)?;
        }
    }
    Ok(format!("sha256:{}", entry.sha256))
}

fn part<'a>(part: &str, path: &str, contents: &'a Contents) -> Result<&'a Entry, Problem> {
    contents.get(path).ok_or_else(|| Problem::Missing { part: part.to_owned(), name: path.to_owned() })
}

/// The sha256 in a file's name, if it has one.
fn digest_in(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    (name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}

fn check(part: &str, path: &str, found: &str, wanted: &str) -> Result<(), Problem> {
    if found == wanted {
        return Ok(());
    }
    Err(Problem::Digest { part: part.to_owned(), name: path.to_owned(), found: found.to_owned() })
}
