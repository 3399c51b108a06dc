//! Archives of both kinds: valid ones, and ones with one defect each.

use super::*;
use crate::digits::sha256 as hash;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

/// The files of a tar file.
type Files = BTreeMap<String, Vec<u8>>;

struct Case {
    dir: TempDir,
    files: Files,
}

impl Case {
    /// An OCI archive of one image.
    fn oci() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("original.tar");
        ImageBuilder::new("example.org/app:1").file("/bin/app", &b"program"[..], 0o755).write_archive(&path).unwrap();
        let files = unpack(&fs::read(path).unwrap());
        Self { dir, files }
    }

    /// A docker archive of one image with two layers, the second compressed.
    fn docker() -> Self {
        let (first, second) = (pack(&one_file("a", b"first")), pack(&one_file("b", b"second")));
        let config = config_of(&[&first, &second]);
        let mut files = Files::new();
        let config_path = format!("{}.json", hash(&config));
        files.insert(config_path.clone(), config);
        files.insert("1/layer.tar".into(), first);
        files.insert("2/layer.tar".into(), gzip(&second));
        let manifest = json!([{"Config": config_path, "RepoTags": ["app:1", "example.org/app:2"], "Layers": ["1/layer.tar", "2/layer.tar"]}]);
        files.insert("manifest.json".into(), manifest.to_string().into_bytes());
        files.insert("repositories".into(), b"{}".to_vec());
        Self { dir: tempfile::tempdir().unwrap(), files }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("a.tar")
    }

    fn open(&self) -> Result<Archive, Error> {
        fs::write(self.path(), pack(&self.files)).unwrap();
        Archive::open(&self.path())
    }

    /// The message of the error, which must name the file.
    fn error(&self) -> String {
        let error = self.open().unwrap_err().to_string();
        assert!(error.contains(self.path().to_str().unwrap()) && !error.contains('\n'), "{error}");
        error
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&self.files[name]).unwrap();
        edit(&mut value);
        self.files.insert(name.into(), value.to_string().into_bytes());
    }

    /// The path of a blob of an OCI archive's only image.
    fn blob(&self, part: &str) -> String {
        let index: Value = serde_json::from_slice(&self.files["index.json"]).unwrap();
        let path = |digest: &Value| digest.as_str().unwrap().replace("sha256:", "blobs/sha256/");
        let manifest = path(&index["manifests"][0]["digest"]);
        let content: Value = serde_json::from_slice(&self.files[&manifest]).unwrap();
        match part {
            "manifest" => manifest,
            "config" => path(&content["config"]["digest"]),
            _ => path(&content["layers"][0]["digest"]),
        }
    }

    /// Replaces a JSON blob of an OCI archive, and updates its descriptor.
    fn replace(&mut self, part: &str, edit: &dyn Fn(&mut Value)) {
        let old = self.blob(part);
        let mut value: Value = serde_json::from_slice(&self.files.remove(&old).unwrap()).unwrap();
        edit(&mut value);
        let bytes = value.to_string().into_bytes();
        let descriptor = (format!("sha256:{}", hash(&bytes)), bytes.len());
        self.files.insert(format!("blobs/sha256/{}", hash(&bytes)), bytes);
        let set = |target: &mut Value| {
            target["digest"] = descriptor.0.as_str().into();
            target["size"] = descriptor.1.into();
        };
        match part {
            "manifest" => self.edit("index.json", |index| set(&mut index["manifests"][0])),
            _ => self.replace("manifest", &|manifest| set(&mut manifest["config"])),
        }
    }
}

fn one_file(path: &str, content: &[u8]) -> Files {
    Files::from([(path.to_owned(), content.to_vec())])
}

fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", hash(layer))).collect();
    let architecture = oci_spec::image::Arch::default().to_string();
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    json!({"architecture": architecture, "os": "linux", "rootfs": rootfs}).to_string().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn unpack(tar: &[u8]) -> Files {
    let mut files = Files::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (path, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        if entry.header().entry_type().is_file() {
            files.insert(path, bytes);
        }
    }
    files
}

fn pack(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn the_pause_image_is_reproducible_and_valid() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first.tar"), dir.path().join("second.tar"));
    let start = Instant::now();
    assert!(write_pause_archive(&first).unwrap());
    println!("pause archive, written: {:?}", start.elapsed());
    let start = Instant::now();
    assert!(!write_pause_archive(&first).unwrap(), "nothing changed");
    println!("pause archive, again: {:?}", start.elapsed());
    write_pause_archive(&second).unwrap();
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    let start = Instant::now();
    let archive = Archive::open(&first).unwrap();
    println!("pause archive, {} bytes, checked: {:?}", fs::metadata(&first).unwrap().len(), start.elapsed());
    assert_eq!(archive.kind, Kind::Oci);
    let source = format!("oci-archive:{}", first.canonicalize().unwrap().display());
    let layout = dir.path().join("layout");
    fs::create_dir(&layout).unwrap();
    let program = ImageBuilder::new(PAUSE_IMAGE).file("/pause", kubernix_pause::PAUSE, 0o755);
    let id = program.entrypoint(["/pause"]).user("65535:65535").write_layout(&layout).unwrap();
    assert_eq!(archive.images, [Image { reference: PAUSE_IMAGE.into(), id, source }]);
}

#[test]
fn a_built_image_has_the_given_files_and_config() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    ImageBuilder::new("example.org/app:1")
        .file("bin/./app", &b"program"[..], 0o755)
        .file("/etc/deep/er/config", &b"text"[..], 0o640)
        .directory("/tmp/", 0o1777)
        .entrypoint(["/bin/app", "-v"])
        .env("A", "b=c")
        .user("1000")
        .write_archive(&path)
        .unwrap();
    let case = Case { dir: tempfile::tempdir().unwrap(), files: unpack(&fs::read(&path).unwrap()) };
    let config: Value = serde_json::from_slice(&case.files[&case.blob("config")]).unwrap();
    assert_eq!(config["config"], json!({"User": "1000", "Env": ["A=b=c"], "Entrypoint": ["/bin/app", "-v"]}));
    let layer = &case.files[&case.blob("layer")];
    assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", hash(layer))]));
    let mut tar = tar::Archive::new(layer.as_slice());
    let entries = tar.entries().unwrap().map(|entry| {
        let header = entry.unwrap().header().clone();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
        format!("{} {:o}", header.path().unwrap().display(), header.mode().unwrap())
    });
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [
            "bin/ 755",
            "bin/app 755",
            "etc/ 755",
            "etc/deep/ 755",
            "etc/deep/er/ 755",
            "etc/deep/er/config 640",
            "tmp/ 1777"
        ]
    );
}

#[test]
fn invalid_images_are_not_built() {
    let build = |builder: ImageBuilder| builder.write_archive(Path::new("/nonexistent/a.tar")).unwrap_err().to_string();
    assert_eq!(
        build(ImageBuilder::new("a/b:1").file("/a/../../b", &b""[..], 0o644)),
        "can't build the image `a/b:1`: `/a/../../b` is not a path inside an image"
    );
    assert!(build(ImageBuilder::new("a/b:1").directory("/", 0o755)).ends_with("`/` is not a path inside an image"));
    let error = build(ImageBuilder::new("Not A Name"));
    assert!(error.starts_with("can't build the image `Not A Name`: its name is not an image reference: "), "{error}");
    let error = build(ImageBuilder::new("a/b:1"));
    assert!(error.contains("/nonexistent/a.tar"), "{error}");
}

#[test]
fn archives_of_every_kind_are_read() {
    let case = Case::oci();
    assert_eq!(case.open().unwrap().images[0].reference, "example.org/app:1");
    // Compressed, and with another order of the files.
    fs::write(case.path(), gzip(&pack(&case.files))).unwrap();
    assert_eq!(Archive::open(&case.path()).unwrap().images.len(), 1);
    let dotted = case.files.iter().rev().map(|(path, bytes)| (format!("./{path}"), bytes.clone()));
    assert_eq!(Case { files: dotted.collect(), dir: tempfile::tempdir().unwrap() }.open().unwrap().images.len(), 1);

    let case = Case::docker();
    let archive = case.open().unwrap();
    assert_eq!(archive.kind, Kind::Docker);
    let references: Vec<_> = archive.images.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(references, ["docker.io/library/app:1", "example.org/app:2"]);
    assert_eq!(archive.images[0].source, format!("docker-archive:{}", case.path().display()));
}

#[test]
fn linked_layers_of_old_docker_archives_are_read() {
    let mut case = Case::docker();
    let layer = case.files.remove("1/layer.tar").unwrap();
    case.files.insert("3/layer.tar".into(), layer);
    assert!(case.error().contains("image `app:1` of "));
    let tar = pack(&case.files);
    // Without the two empty blocks at its end.
    let mut builder = tar::Builder::new(tar[..tar.len() - 1024].to_vec());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "1/layer.tar", "../3/layer.tar").unwrap();
    fs::write(case.path(), builder.into_inner().unwrap()).unwrap();
    assert_eq!(Archive::open(&case.path()).unwrap().images.len(), 2);
}

#[test]
fn several_images_have_selectors() {
    let mut case = Case::oci();
    let second = |index: &mut Value, name: &str| {
        let mut entry = index["manifests"][0].clone();
        entry["annotations"]["org.opencontainers.image.ref.name"] = name.into();
        index["manifests"].as_array_mut().unwrap().push(entry);
    };
    case.edit("index.json", |index| second(index, "app:2"));
    let archive = case.open().unwrap();
    let path = case.path().display().to_string();
    let images: Vec<_> = archive.images.into_iter().map(|image| (image.reference, image.source)).collect();
    assert_eq!(
        images,
        [
            ("example.org/app:1".to_owned(), format!("oci-archive:{path}:example.org/app:1")),
            ("docker.io/library/app:2".to_owned(), format!("oci-archive:{path}:app:2")),
        ]
    );
    case.edit("index.json", |index| second(index, "app:2"));
    assert!(case.error().contains("image `docker.io/library/app:2` of "));

    let mut case = Case::docker();
    case.edit("manifest.json", |manifest| {
        let mut entry = manifest[0].clone();
        entry["RepoTags"] = json!(["other:1"]);
        manifest.as_array_mut().unwrap().push(entry);
    });
    let sources: Vec<_> = case.open().unwrap().images.into_iter().map(|image| image.source).collect();
    let path = case.path().display().to_string();
    let source = |name| format!("docker-archive:{path}:{name}");
    assert_eq!(
        sources,
        [source("docker.io/library/app:1"), source("example.org/app:2"), source("docker.io/library/other:1")]
    );
}

#[test]
fn images_of_other_platforms_may_be_missing() {
    let mut case = Case::oci();
    let statement = json!({"mediaType": "x", "digest": format!("sha256:{:064}", 0), "size": 1,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"}});
    case.edit("index.json", |index| {
        let image = index["manifests"][0].clone();
        index["manifests"] = json!([image, statement]);
    });
    assert_eq!(case.open().unwrap().images.len(), 1);
    // A list with an image of another platform that isn't in the archive.
    let index: Value = serde_json::from_slice(&case.files["index.json"]).unwrap();
    let mut absent = index["manifests"][0].clone();
    absent["digest"] = format!("sha256:{:064}", 0).into();
    absent["platform"]["architecture"] = "s390x".into();
    let list = |images: Value| json!({"schemaVersion": 2, "manifests": images}).to_string().into_bytes();
    let mut nest = |images: Value| {
        let bytes = list(images);
        let entry = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "size": bytes.len(),
            "digest": format!("sha256:{}", hash(&bytes)),
            "annotations": {"io.containerd.image.name": "example.org/app:7", "org.opencontainers.image.ref.name": "7"}});
        case.files.insert(format!("blobs/sha256/{}", hash(&bytes)), bytes);
        case.files.insert("index.json".into(), list(json!([entry])));
        case.open().map(|archive| archive.images[0].reference.clone()).map_err(|error| error.to_string())
    };
    assert_eq!(nest(json!([absent, index["manifests"][0]])).unwrap(), "example.org/app:7");
    let error = nest(json!([absent])).unwrap_err();
    assert!(
        error.contains("image `example.org/app:7` of ")
            && error.contains("it is for linux/s390x, this machine is linux/")
    );
}

#[test]
fn images_of_other_platforms_are_rejected() {
    let mut case = Case::oci();
    case.replace("config", &|config| config["architecture"] = "s390x".into());
    let wanted = oci_spec::image::Arch::default();
    let error = case.error();
    assert!(error.starts_with("image `example.org/app:1` of "), "{error}");
    assert!(error.ends_with(&format!("it is for linux/s390x, this machine is linux/{wanted}")), "{error}");
    let mut case = Case::oci();
    case.replace("config", &|config| config["os"] = "windows".into());
    assert!(case.error().contains("it is for windows/"));
}

#[test]
fn errors_name_damaged_parts() {
    for (part, title) in [("manifest", "its manifest"), ("config", "its config"), ("layer", "layer 1 of 1")] {
        let mut case = Case::oci();
        let path = case.blob(part);
        let digest = path.replace("blobs/sha256/", "sha256:");
        let bytes = case.files.remove(&path).unwrap();
        let expected = format!("{title} (`{digest}`) is missing from the archive");
        assert!(case.error().ends_with(&expected), "{}", case.error());
        case.files.insert(path.clone(), bytes[..bytes.len() - 1].to_vec());
        let expected = format!("(`{digest}`) is damaged: it has {} bytes instead of {}", bytes.len() - 1, bytes.len());
        assert!(case.error().ends_with(&expected), "{}", case.error());
        let mut other = bytes.clone();
        other[0] ^= 1;
        case.files.insert(path, other.clone());
        let expected = format!("{title} (`{digest}`) is damaged: its sha256 is {}", hash(&other));
        assert!(case.error().ends_with(&expected), "{}", case.error());
        assert!(case.error().starts_with("image `example.org/app:1` of `"));
    }
    let mut case = Case::docker();
    case.files.get_mut("1/layer.tar").unwrap()[600] ^= 1;
    assert!(case.error().contains("layer 1 of 2 (`1/layer.tar`) is damaged"), "{}", case.error());
    case = Case::docker();
    let layer = case.files.get_mut("2/layer.tar").unwrap();
    let middle = layer.len() / 2;
    layer[middle] ^= 1;
    assert!(case.error().contains("layer 2 of 2 (`2/layer.tar`) is damaged"), "{}", case.error());
    case.files.remove("2/layer.tar");
    assert!(case.error().contains("layer 2 of 2 (`2/layer.tar`) is missing"), "{}", case.error());
    case = Case::docker();
    let config = case.files.keys().find(|name| name.len() > 64).unwrap().clone();
    case.edit(&config, |config| config["author"] = "other".into());
    assert!(case.error().contains(&format!("its config (`{config}`) is damaged")), "{}", case.error());
}

#[test]
fn layers_must_match_the_config() {
    let mut case = Case::oci();
    case.replace("config", &|config| config["rootfs"]["diff_ids"] = json!([]));
    assert!(case.error().ends_with("its config is malformed: it names 0 layers, the manifest 1"));
    case = Case::docker();
    case.edit("manifest.json", |manifest| manifest[0]["Layers"] = json!(["1/layer.tar"]));
    assert!(case.error().ends_with("its config is malformed: it names 2 layers, manifest.json 1"));
    case = Case::oci();
    case.replace("config", &|config| *config = json!({"a": "signature, not an image"}));
    assert!(case.error().contains("its config is malformed: missing field"), "{}", case.error());
}

#[test]
fn images_without_names_are_rejected() {
    let mut case = Case::oci();
    case.edit("index.json", |index| {
        index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "1".into()
    });
    assert!(case.error().contains("image 1 of "), "{}", case.error());
    assert!(case.error().ends_with("it has no name (only `1`): save it by its name and tag"), "{}", case.error());
    case.edit("index.json", |index| index["manifests"][0]["annotations"] = json!({}));
    assert!(case.error().ends_with("it has no name (no annotation): save it by its name and tag"));
    case.edit("index.json", |index| {
        index["manifests"][0]["annotations"] = json!({"org.opencontainers.image.ref.name": "a b:1"});
    });
    assert!(case.error().contains("its name is not an image reference"), "{}", case.error());
    for tags in [json!([]), json!(null)] {
        let mut case = Case::docker();
        case.edit("manifest.json", |manifest| manifest[0]["RepoTags"] = tags);
        assert!(case.error().ends_with("it has no name (no RepoTags): save it by its name and tag"));
    }
}

#[test]
fn damaged_archives_are_rejected() {
    let case = Case::oci();
    let whole = pack(&case.files);
    let rejected = |bytes: &[u8]| {
        fs::write(case.path(), bytes).unwrap();
        Archive::open(&case.path()).unwrap_err().to_string()
    };
    // Cut inside a file, inside a header, and between them.
    for end in (1..whole.len() - 1024).step_by(97) {
        let error = rejected(&whole[..end]);
        let known = ["is not an image archive", "is damaged", "is missing from the archive"];
        assert!(known.iter().any(|part| error.contains(part)), "{end}: {error}");
    }
    assert!(rejected(&whole[..2000]).contains("` is damaged: "), "{}", rejected(&whole[..2000]));
    let packed = gzip(&whole);
    for end in (3..packed.len() - 8).step_by(31) {
        rejected(&packed[..end]);
    }
    assert!(rejected(&packed[..packed.len() - 20]).contains("copy or save it again"));
    for name in ["index.json", "manifest.json"] {
        for text in ["", "{", "[]", "{\"schemaVersion\": 2, \"manifests\": []}"] {
            let mut case = Case::oci();
            case.files.insert(name.into(), text.into());
            assert!(case.error().starts_with("the image archive `"), "{}", case.error());
        }
    }
}

#[test]
fn other_files_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let rejected = |bytes: &[u8]| {
        let path = dir.path().join("file");
        fs::write(&path, bytes).unwrap();
        let error = Archive::open(&path).unwrap_err();
        assert!(matches!(error, Error::NotAnArchive { .. }), "{error}");
        error.to_string()
    };
    assert!(rejected(b"").contains("it is empty"));
    assert!(rejected(b"just text, and much too short").contains("it is not a tar file"));
    assert!(rejected(&vec![b'x'; 5000]).contains("it is not a tar file"));
    assert!(rejected(&gzip(b"text")).contains("it is not a tar file"));
    assert!(rejected(b"\x28\xb5\x2f\xfdrest").contains("it is compressed by zstd, unpack it first"));
    assert!(rejected(&pack(&one_file("a", b"b"))).contains("it has neither index.json nor manifest.json"));
    assert!(rejected(&pack(&one_file("repositories", b"{}"))).contains("before Docker 1.10"));
    let error = Archive::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("it is a directory"), "{error}");
    let error = Archive::open(&dir.path().join("absent")).unwrap_err().to_string();
    assert!(error.contains("absent`: No such file"), "{error}");
    fs::write(dir.path().join("a:b"), "").unwrap();
    assert!(Archive::open(&dir.path().join("a:b")).unwrap_err().to_string().contains("its path has a colon"));
}

/// skopeo reads built archives, and its copies are read.
#[test]
fn archives_are_compatible_with_skopeo() {
    if which::which("skopeo").is_err() {
        kubernix_testkit::report_skip("images::skopeo_agrees", "skopeo is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let skopeo = |arguments: &[&str]| {
        #[allow(clippy::disallowed_methods, reason = "the test asks the program that will import the archives")]
        let output = std::process::Command::new("skopeo").args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let pause = path.join("pause.tar");
    write_pause_archive(&pause).unwrap();
    let source = Archive::open(&pause).unwrap().images[0].source.clone();
    let inspected: Value = serde_json::from_str(&skopeo(&["inspect", &source])).unwrap();
    assert_eq!(inspected["Os"], "linux");
    let named = format!("{source}:{PAUSE_IMAGE}");
    let config: Value = serde_json::from_str(&skopeo(&["inspect", "--config", &named])).unwrap();
    assert_eq!(config["config"]["Entrypoint"], json!(["/pause"]));
    // Copying to a directory of blobs checks the digests.
    skopeo(&["--insecure-policy", "copy", "--quiet", &source, &format!("dir:{}", path.join("dir").display())]);
    let forms = [("docker-archive", Kind::Docker), ("oci-archive", Kind::Oci)];
    for (transport, kind) in forms {
        let copy = path.join(transport);
        let target = format!("{transport}:{}:{PAUSE_IMAGE}", copy.display());
        skopeo(&["--insecure-policy", "copy", "--quiet", &source, &target]);
        let archive = Archive::open(&copy).unwrap();
        assert_eq!((archive.kind, archive.images[0].reference.as_str()), (kind, PAUSE_IMAGE));
        skopeo(&["inspect", &archive.images[0].source]);
    }
}
