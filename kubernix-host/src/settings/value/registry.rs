//! Registries of images and their mirrors.

use super::ValueError;

/// Parses the beginning of image names: a registry's host, optionally with a port and a path.
pub(in crate::settings) fn parse_registry(text: &str) -> Result<String, ValueError> {
    let host = text.split('/').next().unwrap_or(text);
    // By the rules of image references, anything else is the name of a repository.
    if !is_location(text) || !(host.contains(['.', ':']) || host == "localhost") {
        return Err(ValueError::Registry(text.into()));
    }
    Ok(text.into())
}

/// Whether a text is a host, optionally with a port and a path.
fn is_location(text: &str) -> bool {
    let (host, path) = text.split_once('/').unwrap_or((text, "path"));
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    consists_of(name, "-.") && port.parse::<u16>().is_ok() && consists_of(path, "-._/") && !path.ends_with('/')
}

/// Whether a text consists of letters, digits and further characters.
fn consists_of(text: &str, further: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || further.contains(c))
}

/// Parses URLs of registries, separated by commas or spaces.
pub(in crate::settings) fn parse_mirrors(text: &str) -> Result<Vec<String>, ValueError> {
    let urls: Vec<&str> = text.split([',', ' ', '\t']).filter(|url| !url.is_empty()).collect();
    if urls.is_empty() {
        return Err(ValueError::NoMirror);
    }
    urls.into_iter().map(parse_mirror).collect()
}

fn parse_mirror(url: &str) -> Result<String, ValueError> {
    let invalid = |reason| Err(ValueError::Mirror { url: url.to_owned(), reason });
    let Some((scheme, rest)) = url.split_once("://") else {
        return invalid("is not a URL, write it with its scheme: https://mirror.example");
    };
    if !["http", "https"].contains(&scheme) {
        return invalid("has a scheme that registries don't support: use http:// or https://");
    }
    if rest.contains(['@', '?', '#']) {
        return invalid("has more parts than host, port and path: remove the others");
    }
    let location = rest.trim_end_matches('/');
    if is_location(location) {
        Ok(format!("{scheme}://{location}"))
    } else {
        invalid("has no valid host: write it as in https://mirror.example")
    }
}
