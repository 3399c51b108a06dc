//! Reads and checks the images of an OCI layout.

use super::archive::{Found, ImageConfig, json, layer_title, platform};
use super::contents::{Contents, Entry};
use super::{Error, Problem, reference};
use oci_spec::OciSpecError;
use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, DigestAlgorithm, ImageIndex, ImageManifest};
use std::path::Path;

/// The annotation with the full name in archives of containerd and docker. Their other annotation
/// is only the tag.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Docker's annotation of attestations, which are listed among the images.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// The images of `index.json`.
pub(super) fn images(path: &Path, index: &Entry, contents: &Contents) -> Result<Vec<Found>, Error> {
    let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
    let index: ImageIndex = json("index.json", index).map_err(|problem| damaged(problem.to_string()))?;
    let entries: Vec<_> = index.manifests().iter().filter(|entry| annotation(entry, ATTESTATION).is_none()).collect();
    if entries.is_empty() {
        return Err(damaged("its index.json names no image".to_owned()));
    }
    let mut images = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let error = |image: String| move |problem| Error::Image { path: path.to_owned(), image, problem };
        let (reference, tag) = name(entry).map_err(error((number + 1).to_string()))?;
        let title = format!("`{reference}`");
        let id = image(entry, contents).map_err(error(title.clone()))?;
        let selector = match (entries.len(), tag) {
            (1, _) => None,
            (_, None) => return Err(error(title)(Problem::Nameless(format!("no {ANNOTATION_REF_NAME}")))),
            (_, Some(tag)) => {
                if entries.iter().filter(|other| annotation(other, ANNOTATION_REF_NAME) == Some(tag)).count() > 1 {
                    return Err(error(title)(Problem::Ambiguous(tag.to_owned())));
                }
                Some(tag.to_owned())
            }
        };
        images.push(Found { reference, id, selector });
    }
    Ok(images)
}

/// The ID in runtimes of the only image of a layout in a directory: the digest of its config.
/// Doesn't check the layout.
pub(super) fn id(layout: &Path) -> Result<String, OciSpecError> {
    let index = ImageIndex::from_file(layout.join("index.json"))?;
    let only = index.manifests().first().ok_or_else(|| OciSpecError::Other("it names no image".to_owned()))?;
    let manifest = ImageManifest::from_file(layout.join("blobs/sha256").join(only.digest().digest()))?;
    Ok(manifest.config().digest().to_string())
}

fn annotation<'a>(entry: &'a Descriptor, key: &str) -> Option<&'a str> {
    entry.annotations().as_ref().and_then(|annotations| annotations.get(key)).map(String::as_str)
}

/// An image's full name, and its selector in the archive.
fn name(entry: &Descriptor) -> Result<(String, Option<&str>), Problem> {
    let selector = annotation(entry, ANNOTATION_REF_NAME);
    let name = match (annotation(entry, CONTAINERD_NAME), selector) {
        (Some(name), _) => name,
        (None, Some(name)) if name.contains(['/', ':', '@']) => name,
        (None, Some(tag)) => return Err(Problem::Nameless(format!("only `{tag}`"))),
        (None, None) => return Err(Problem::Nameless("no annotation".to_owned())),
    };
    Ok((reference::full(name)?, selector))
}

/// Checks an image, or the image of a list that is for this machine; returns its ID.
fn image(descriptor: &Descriptor, contents: &Contents) -> Result<String, Problem> {
    let entry = blob("its manifest", descriptor, contents)?;
    let value: serde_json::Value = json("its manifest", entry)?;
    if value.get("manifests").is_some() {
        let index: ImageIndex = json("its list of platforms", entry)?;
        return image(for_this_machine(&index)?, contents);
    }
    let manifest: ImageManifest = json("its manifest", entry)?;
    let config = ImageConfig::parse(blob("its config", manifest.config(), contents)?)?;
    let (count, named) = (manifest.layers().len(), config.rootfs.diff_ids.len());
    if count != named {
        let reason = format!("it names {named} layers, the manifest {count}");
        return Err(Problem::Malformed { part: "its config".to_owned(), reason });
    }
    for (index, layer) in manifest.layers().iter().enumerate() {
        blob(&layer_title(index, count), layer, contents)?;
    }
    Ok(manifest.config().digest().to_string())
}

/// The image of a list that is for this machine. The others may be missing from the archive.
fn for_this_machine(index: &ImageIndex) -> Result<&Descriptor, Problem> {
    let name = |entry: &Descriptor| {
        let platform = entry.platform().as_ref();
        platform.map(|platform| format!("{}/{}", platform.os(), platform.architecture())).unwrap_or_default()
    };
    let wanted = platform();
    index.manifests().iter().find(|entry| name(entry) == wanted).ok_or_else(|| Problem::Platform {
        found: index.manifests().iter().map(name).collect::<Vec<_>>().join(", "),
        wanted,
    })
}

/// The blob of a descriptor. Checks its size and hash.
fn blob<'a>(part: &str, descriptor: &Descriptor, contents: &'a Contents) -> Result<&'a Entry, Problem> {
    let (part, name) = (part.to_owned(), descriptor.digest().to_string());
    if *descriptor.digest().algorithm() != DigestAlgorithm::Sha256 {
        return Err(Problem::Malformed { part, reason: format!("its digest `{name}` is not sha256") });
    }
    let digest = descriptor.digest().digest();
    let Some(entry) = contents.get(&format!("blobs/sha256/{digest}")) else {
        return Err(Problem::Missing { part, name });
    };
    if entry.size != descriptor.size() {
        return Err(Problem::Size { part, name, found: entry.size, wanted: descriptor.size() });
    }
    if entry.sha256 != digest {
        return Err(Problem::Digest { part, name, found: entry.sha256.clone() });
    }
    Ok(entry)
}
