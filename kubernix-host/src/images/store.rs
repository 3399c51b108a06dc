//! Images that components have built of this machine's files: built once and kept in the cache for all clusters.
//!
//! An image's directory is named by all that decides what is in it. A file counts as the same while its size, its time and its
//! inode are, as make(1) has it: to hash 80 MB at each boot would take longer than to find that they are there.

use super::{Error, ImageBuilder, Problem, elf, oci, reference};
use crate::digits::hex;
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

/// What the parts of an image say.
#[derive(Default)]
struct Parts<'p> {
    /// Path in the image, file here.
    programs: Vec<(&'p str, &'p Path)>,
    /// Path in the image, target.
    links: Vec<(&'p str, &'p str)>,
    entrypoint: Vec<&'p str>,
    user: Option<&'p str>,
}

/// Reads the parts of an image, see [`Planner::build`](kubernix_core::Planner::build).
fn parts(image: &ImageBuild) -> Result<Parts<'_>, Problem> {
    let mut parts = Parts::default();
    for (part, value) in &image.parts {
        match part.split_once(' ').unwrap_or((part, "")) {
            ("program", path) if Path::new(value).is_absolute() => parts.programs.push((path, Path::new(value))),
            ("program", _) => return Err(Problem::Part(format!("`{part}`: `{value}` is no absolute path"))),
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
        Some(path) => Err(Problem::Part(format!("`{path}` is no absolute path in the image"))),
        None if parts.programs.is_empty() => Err(Problem::Part("there is no program".to_owned())),
        None => Ok(parts),
    }
}

/// Checks what can be said of an image before its files are there.
///
/// # Errors
/// Its name is none, or a part can't be understood.
pub fn check_build(image: &ImageBuild) -> Result<(), Error> {
    let checked = reference::full(&image.reference).and_then(|_| parts(image));
    checked.map(drop).map_err(|problem| refused(image, problem))
}

fn builder(image: &ImageBuild) -> Result<ImageBuilder, Error> {
    let parts = parts(image).map_err(|problem| refused(image, problem))?;
    let mut builder = ImageBuilder::new(&image.reference).entrypoint(parts.entrypoint);
    for (path, source) in parts.programs {
        if elf::is_dynamic(source).unwrap_or(false) {
            return Err(refused(image, Problem::Dynamic(source.to_owned())));
        }
        builder = builder.copy(path, source, 0o755);
    }
    builder = parts.links.into_iter().fold(builder, |builder, (path, target)| builder.link(path, target));
    Ok(match parts.user {
        Some(user) => builder.user(user),
        None => builder,
    })
}

/// Twelve digits that stand for all that decides what is in the image.
fn key(image: &ImageBuild) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(image).expect("texts are JSON"));
    for (_, source) in parts(image).map_err(|problem| refused(image, problem))?.programs {
        let unreadable = |cause: std::io::Error| {
            refused(image, Problem::Source { path: source.to_owned(), cause: cause.to_string() })
        };
        let found = fs::metadata(source).map_err(unreadable)?;
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

    fn build(reference: &str, parts: &[(&str, &str)]) -> ImageBuild {
        let parts = parts.iter().map(|(part, value)| ((*part).to_owned(), (*value).to_owned())).collect();
        ImageBuild { reference: reference.to_owned(), parts }
    }

    #[test]
    fn an_image_is_built_once_and_anew_when_a_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, program) = (dir.path().join("cache/images"), dir.path().join("program"));
        fs::write(&program, "one").unwrap();
        let source = program.to_str().unwrap();
        let all = [("program /app", source), ("link /bin/sh", "/app"), ("entrypoint", "/app"), ("user", "1:1")];
        let image = build("example.org/a/app:1.0", &all);
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
        let refused = |parts: &[(&str, &str)]| {
            let image = build("a/app:1", parts);
            ensure(dir.path(), &image).unwrap_err().to_string()
        };
        for (parts, wanted) in [
            (&[("programme /app", "/x")][..], "`programme /app` is none of program /PATH"),
            (&[("program app", "/x")], "`app` is no absolute path"),
            (&[("program /app", "x")], "`x` is no absolute path"),
            (&[("user", "1")], "there is no program"),
        ] {
            let error = refused(parts);
            assert!(error.contains(wanted), "{error}");
            assert_eq!(check_build(&build("a/app:1", parts)).unwrap_err().to_string(), error);
        }
        assert!(refused(&[("program /app", "/nonexistent/app")]).contains("its file `/nonexistent/app` can't be read"));
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        assert_eq!(
            refused(&[("program /app", own)]),
            format!(
                "can't build the image `a/app:1`: `{own}` is linked dynamically, and nothing but itself is in the image: link it statically"
            )
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
