//! Images that components have built of this machine's files: built once and kept in the cache for all clusters.
//!
//! An image's directory is named by all that decides what is in it. A file counts as the same while its size, its time and its
//! inode are, as make(1) has it: to hash 80 MB at each boot would take longer than to find that they are there.

use super::{Error, ImageBuilder, Problem, elf, hex, oci};
use kubernix_core::ImageBuild;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that nobody needs any more are removed after that many newer ones of the same image.
const KEPT: usize = 2;

/// An image that lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its OCI layout.
    pub layout: PathBuf,
    /// Its ID as runtimes have it: `sha256:...`.
    pub id: String,
}

/// Builds an image below `directory`, which is made, unless it is there.
///
/// # Errors
/// A file can't be read, a program is linked dynamically, or the image can't be written.
pub fn ensure(directory: &Path, image: &ImageBuild) -> Result<Built, Error> {
    let prefix = name_of(&image.reference);
    let layout = directory.join(format!("{prefix}-{}", key(image)?));
    if let Ok(id) = oci::id(&layout) {
        return Ok(Built { layout, id });
    }
    let unwritten =
        |cause: std::io::Error| Error::Write { cause: format!("can't write `{}`: {cause}", layout.display()).into() };
    fs::create_dir_all(directory).map_err(unwritten)?;
    let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(directory).map_err(unwritten)?;
    let id = builder(image)?.write_layout(unfinished.path())?;
    match fs::rename(unfinished.path(), &layout) {
        Ok(()) => drop(unfinished.keep()),
        // Somebody else was faster, with the same.
        Err(_) if oci::id(&layout).is_ok() => {}
        Err(cause) => return Err(unwritten(cause)),
    }
    remove_old(directory, &prefix, &layout);
    Ok(Built { layout, id })
}

fn builder(image: &ImageBuild) -> Result<ImageBuilder, Error> {
    let mut builder = ImageBuilder::new(&image.reference).entrypoint(image.entrypoint.iter().cloned());
    for file in &image.files {
        let source = Path::new(&file.source);
        if elf::is_dynamic(source).unwrap_or(false) {
            return Err(refused(image, Problem::Dynamic(source.to_owned())));
        }
        builder = builder.copy(&file.path, source, file.mode);
    }
    builder = image.links.iter().fold(builder, |builder, (path, target)| builder.link(path, target));
    builder = image.env.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
    Ok(if image.user.is_empty() { builder } else { builder.user(&image.user) })
}

/// Twelve digits that stand for all that decides what is in the image.
fn key(image: &ImageBuild) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(image).expect("texts and numbers are JSON"));
    for file in &image.files {
        let unreadable = |cause: std::io::Error| {
            refused(image, Problem::Source { path: PathBuf::from(&file.source), cause: cause.to_string() })
        };
        let found = fs::metadata(&file.source).map_err(unreadable)?;
        hash.update(format!("{},{},{},{}", found.len(), found.mtime(), found.mtime_nsec(), found.ino()));
    }
    Ok(hex(&hash.finalize()[..6]))
}

fn refused(image: &ImageBuild, problem: Problem) -> Error {
    Error::Build { image: image.reference.clone(), problem }
}

/// A reference as a file's name, without what container tools take for a separator.
fn name_of(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' }).collect()
}

/// Removes what earlier files of the same image made; best effort.
fn remove_old(directory: &Path, prefix: &str, newest: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let same = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
        key.is_some_and(|key| key.len() == 12) && entry.path() != newest
    });
    let mut old: Vec<_> =
        same.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    old.sort();
    let surplus = old.len().saturating_sub(KEPT - 1);
    for (_, path) in old.into_iter().take(surplus) {
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_built_once_and_anew_when_a_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, program) = (dir.path().join("cache/images"), dir.path().join("program"));
        fs::write(&program, "one").unwrap();
        let image = ImageBuild::new("example.org/a/app:1.0").program("/app", program.to_str().unwrap());
        let image = image.link("/bin/sh", "/app").entrypoint(["/app"]).env("A", "b").user("1:1");
        let first = ensure(&cache, &image).unwrap();
        assert!(first.layout.file_name().unwrap().to_str().unwrap().starts_with("app-1.0-"));
        let index = first.layout.join("index.json");
        let made = fs::metadata(&index).unwrap().ino();
        assert_eq!(ensure(&cache, &image).unwrap(), first);
        assert_eq!(fs::metadata(&index).unwrap().ino(), made);
        let archive = super::super::Archive::open(&first.layout).unwrap();
        assert_eq!(archive.images[0].reference, "example.org/a/app:1.0");
        assert!(archive.images[0].source.starts_with("oci:/"));

        for text in ["three", "fourth", "fifth.."] {
            fs::write(&program, text).unwrap();
            let next = ensure(&cache, &image).unwrap();
            assert!(next.id != first.id && next.layout != first.layout);
        }
        assert_eq!(fs::read_dir(&cache).unwrap().count(), KEPT, "old ones go");
    }

    #[test]
    fn what_can_not_be_in_an_image_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let build = |source: &str| {
            ensure(dir.path(), &ImageBuild::new("a/app:1").program("/app", source)).unwrap_err().to_string()
        };
        assert!(build("/nonexistent/app").contains("its file `/nonexistent/app` can't be read"));
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        assert_eq!(
            build(own),
            format!(
                "can't build the image `a/app:1`: `{own}` is linked dynamically, and nothing but itself is in the image: link it statically"
            )
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
