//! Builds images of this machine's files for components, and caches them for all clusters.
//!
//! The name of an image's directory has a hash of everything that determines its content. For files
//! these are size, modification time and inode: hashing 80 MB of content at each boot would take
//! too long.

use super::{Error, ImageBuilder, Problem, elf, oci, reference};
use crate::digits::hex;
use kubernix_core::ImageBuild;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many builds of an image are kept. Older ones are removed.
const KEPT: usize = 2;

/// An image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its OCI layout.
    pub layout: PathBuf,
    /// Its ID in runtimes: `sha256:...`.
    pub id: String,
}

/// Builds an image below `directory`, unless it is cached there. Creates the directory.
///
/// # Errors
/// A file can't be read, a program is linked dynamically, or the image can't be written.
pub fn ensure(directory: &Path, image: &ImageBuild) -> Result<Built, Error> {
    let prefix = name_of(&image.reference);
    let layout = directory.join(format!("{prefix}-{}", key(image)?));
    if let Ok(id) = oci::id(&layout) {
        return Ok(Built { layout, id });
    }
    let write_error =
        |cause: std::io::Error| Error::Write { cause: format!("can't write `{}`: {cause}", layout.display()).into() };
    fs::create_dir_all(directory).map_err(write_error)?;
    let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(directory).map_err(write_error)?;
    let id = builder(image)?.write_layout(unfinished.path())?;
    match fs::rename(unfinished.path(), &layout) {
        Ok(()) => drop(unfinished.keep()),
        // Another process has built the same image meanwhile.
        Err(_) if oci::id(&layout).is_ok() => {}
        Err(cause) => return Err(write_error(cause)),
    }
    remove_old(directory, &prefix, &layout);
    Ok(Built { layout, id })
}

/// The parsed parts of an image.
#[derive(Default)]
struct Parts<'p> {
    /// Path in the image, file on this machine.
    programs: Vec<(&'p str, &'p Path)>,
    /// Path in the image, target.
    links: Vec<(&'p str, &'p str)>,
    entrypoint: Vec<&'p str>,
    user: Option<&'p str>,
}

/// Parses the parts of an image, see [`Planner::build`](kubernix_core::Planner::build).
fn parts(image: &ImageBuild) -> Result<Parts<'_>, Problem> {
    let mut parts = Parts::default();
    for (part, value) in &image.parts {
        match part.split_once(' ').unwrap_or((part, "")) {
            ("program", path) if Path::new(value).is_absolute() => parts.programs.push((path, Path::new(value))),
            ("program", _) => return Err(Problem::Part(format!("`{part}`: `{value}` is not an absolute path"))),
            ("link", path) => parts.links.push((path, value)),
            ("entrypoint", "") => parts.entrypoint.push(value),
            ("user", "") => parts.user = Some(value),
            _ => {
                return Err(Problem::Part(format!(
                    "`{part}` is none of program /PATH, link /PATH, entrypoint and user"
                )));
            }
        }
    }
    let paths = parts.programs.iter().map(|(path, _)| path).chain(parts.links.iter().map(|(path, _)| path));
    match paths.into_iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(Problem::Part(format!("`{path}` is not an absolute path in the image"))),
        None if parts.programs.is_empty() => Err(Problem::Part("it has no program".to_owned())),
        None => Ok(parts),
    }
}

/// Checks the description of an image. Its files needn't exist yet.
///
/// # Errors
/// Its name is not an image reference, or a part is malformed.
pub fn check_build(image: &ImageBuild) -> Result<(), Error> {
    let checked = reference::full(&image.reference).and_then(|_| parts(image));
    checked.map(drop).map_err(|problem| build_error(image, problem))
}

fn builder(image: &ImageBuild) -> Result<ImageBuilder, Error> {
    let parts = parts(image).map_err(|problem| build_error(image, problem))?;
    let mut builder = ImageBuilder::new(&image.reference).entrypoint(parts.entrypoint);
    for (path, source) in parts.programs {
        if elf::is_dynamic(source).unwrap_or(false) {
            return Err(build_error(image, Problem::Dynamic(source.to_owned())));
        }
        builder = builder.copy(path, source, 0o755);
    }
    builder = parts.links.into_iter().fold(builder, |builder, (path, target)| builder.link(path, target));
    Ok(match parts.user {
        Some(user) => builder.user(user),
        None => builder,
    })
}

/// A hash of everything that determines the image's content: twelve hexadecimal digits.
fn key(image: &ImageBuild) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(image).expect("texts are JSON"));
    for (_, source) in parts(image).map_err(|problem| build_error(image, problem))?.programs {
        let read_error = |cause: std::io::Error| {
            build_error(image, Problem::Source { path: source.to_owned(), cause: cause.to_string() })
        };
        let found = fs::metadata(source).map_err(read_error)?;
        hash.update(format!("{},{},{},{}", found.len(), found.mtime(), found.mtime_nsec(), found.ino()));
    }
    Ok(hex(&hash.finalize()[..6]))
}

fn build_error(image: &ImageBuild, problem: Problem) -> Error {
    Error::Build { image: image.reference.clone(), problem }
}

/// A file name for a reference, without characters that container tools use as separators.
fn name_of(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' }).collect()
}

/// Removes surplus builds of the same image, the oldest first. Ignores errors.
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

    fn build(reference: &str, parts: &[(&str, &str)]) -> ImageBuild {
        let parts = parts.iter().map(|(part, value)| ((*part).to_owned(), (*value).to_owned())).collect();
        ImageBuild { reference: reference.to_owned(), parts }
    }

    #[test]
    fn an_image_is_built_once_and_again_when_a_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, program) = (dir.path().join("cache/images"), dir.path().join("program"));
        fs::write(&program, "one").unwrap();
        let source = program.to_str().unwrap();
        let all = [("program /app", source), ("link /bin/sh", "/app"), ("entrypoint", "/app"), ("user", "1:1")];
        let image = build("example.org/a/app:1.0", &all);
        let first = ensure(&cache, &image).unwrap();
        assert!(first.layout.file_name().unwrap().to_str().unwrap().starts_with("app-1.0-"));
        let index = first.layout.join("index.json");
        let inode = fs::metadata(&index).unwrap().ino();
        assert_eq!(ensure(&cache, &image).unwrap(), first);
        assert_eq!(fs::metadata(&index).unwrap().ino(), inode);
        let archive = super::super::Archive::open(&first.layout).unwrap();
        assert_eq!(archive.images[0].reference, "example.org/a/app:1.0");
        assert!(archive.images[0].source.starts_with("oci:/"));

        for text in ["three", "fourth", "fifth.."] {
            fs::write(&program, text).unwrap();
            let next = ensure(&cache, &image).unwrap();
            assert!(next.id != first.id && next.layout != first.layout);
        }
        assert_eq!(fs::read_dir(&cache).unwrap().count(), KEPT, "older builds are removed");
    }

    #[test]
    fn invalid_parts_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let rejected = |parts: &[(&str, &str)]| {
            let image = build("a/app:1", parts);
            ensure(dir.path(), &image).unwrap_err().to_string()
        };
        for (parts, wanted) in [
            (&[("programme /app", "/x")][..], "`programme /app` is none of program /PATH"),
            (&[("program app", "/x")], "`app` is not an absolute path"),
            (&[("program /app", "x")], "`x` is not an absolute path"),
            (&[("user", "1")], "it has no program"),
        ] {
            let error = rejected(parts);
            assert!(error.contains(wanted), "{error}");
            assert_eq!(check_build(&build("a/app:1", parts)).unwrap_err().to_string(), error);
        }
        assert!(
            rejected(&[("program /app", "/nonexistent/app")]).contains("its file `/nonexistent/app` can't be read")
        );
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        assert_eq!(
            rejected(&[("program /app", own)]),
            format!(
                "can't build the image `a/app:1`: `{own}` is linked dynamically, but the image has no shared libraries: link it statically"
            )
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
