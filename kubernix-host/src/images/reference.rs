//! Parses image references.
//!
//! oci-spec has a parser, but it compiles a regular expression for 70 ms, which is a fortieth of a
//! boot.

use super::Problem;

/// The registry of images whose name has none.
const DEFAULT_DOMAIN: &str = "docker.io";
/// The maximum length of a name without tag and digest.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// Completes a reference: `busybox` becomes `docker.io/library/busybox:latest`.
pub(super) fn full(text: &str) -> Result<String, Problem> {
    let malformed = |reason: &str| Problem::Reference(format!("{reason} in `{text}`"));
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port.
    let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[path_start..].split_once(':') {
        Some((last, tag)) => (&rest[..path_start + last.len()], Some(tag)),
        None => (rest, None),
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
        _ => (DEFAULT_DOMAIN, name),
    };
    if name.len() > MAX_NAME {
        return Err(malformed("more than 255 characters"));
    }
    if !is_domain(domain) {
        return Err(malformed("invalid host name"));
    }
    if !path.split('/').all(is_component) {
        return Err(malformed("characters other than lower-case letters, digits and single separators"));
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(malformed("invalid tag after the colon"));
    }
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(malformed("invalid sha256 digest after the @"));
    }
    let library = if domain == DEFAULT_DOMAIN && !path.contains('/') { "library/" } else { "" };
    let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    Ok(format!("{domain}/{library}{path}{tag}{digest}"))
}

/// A host name with or without port.
fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// A component of a path: words of lower-case letters and digits, separated by one dot, one or two
/// underscores, or dashes.
fn is_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| word(*byte));
    let joints = text.as_bytes().split(|byte| word(*byte));
    ends(text.as_bytes().first())
        && ends(text.as_bytes().last())
        && joints
            .into_iter()
            .all(|joint| matches!(joint, b"" | b"." | b"_" | b"__") || joint.iter().all(|b| *b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_TAG).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_and_tag_have_defaults() {
        let digest = format!("sha256:{:064}", 7);
        let cases = [
            ("busybox", "docker.io/library/busybox:latest"),
            ("test.com:5000", "docker.io/library/test.com:5000"),
            ("user/app:1.0_b-2", "docker.io/user/app:1.0_b-2"),
            ("docker.io/busybox:1", "docker.io/library/busybox:1"),
            ("localhost/app", "localhost/app:latest"),
            ("test:5000/repo", "test:5000/repo:latest"),
            ("test:5000/repo:Tag", "test:5000/repo:Tag"),
            ("kubernix.local/pause:1.0.0", "kubernix.local/pause:1.0.0"),
            ("a.b/c__d/e--f.g_h:1", "a.b/c__d/e--f.g_h:1"),
        ];
        for (text, wanted) in cases {
            assert_eq!(full(text).as_deref(), Ok(wanted));
        }
        assert_eq!(full(&format!("a.b/c@{digest}")), Ok(format!("a.b/c@{digest}")));
        assert_eq!(full(&format!("a.b/c:1@{digest}")), Ok(format!("a.b/c:1@{digest}")));
    }

    #[test]
    fn invalid_references_are_rejected() {
        let long = ["a/".repeat(127), "bc".to_owned()].concat();
        let tag = format!("a:{}", "t".repeat(129));
        let texts = [
            "",
            ":1",
            "a:",
            "a:b:c",
            "A",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "a b",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a:-1",
            "a:é",
            "a.b:x/c",
            "a.b:/c",
            "-a.b/c",
            "a..b.c/d",
            "a@sha256:12",
            "a@md5:1",
            "é",
            &long,
            &tag,
        ];
        for text in texts {
            let error = full(text).unwrap_err();
            assert!(
                matches!(&error, Problem::Reference(_)) && error.to_string().contains(&format!("`{text}`")),
                "{error}"
            );
        }
        assert!(full(&long[1..]).is_err() && full(&long[2..]).is_ok());
    }
}
