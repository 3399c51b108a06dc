//! Mirrors of registries: a `hosts.toml` for each registry, as in containerd's docs/hosts.md.

use kubernix_core::{Error, Result, quote};

/// The file for a registry and its mirrors.
///
/// # Errors
/// The name is a part of a registry: containerd only supports mirrors of a whole registry.
pub(crate) fn hosts(name: &str, mirrors: &[String]) -> Result<String> {
    if name.contains('/') {
        return Err(Error::invalid(format!(
            "containerd can't have mirrors of `{name}`, a part of a registry: name the whole registry"
        )));
    }
    let host = |url: &String| {
        let (scheme, place) = url.split_once("://").unwrap_or(("https", url));
        // A path precedes the repository's name, and so follows the version of the API.
        match place.trim_end_matches('/').split_once('/') {
            None => format!("[host.{}]\ncapabilities = [\"pull\", \"resolve\"]\n", quote(url)),
            Some((host, path)) => format!(
                "[host.{}]\ncapabilities = [\"pull\", \"resolve\"]\noverride_path = true\n",
                quote(&format!("{scheme}://{host}/v2/{path}"))
            ),
        }
    };
    let hosts: Vec<String> = mirrors.iter().map(host).collect();
    Ok(hosts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_keep_their_order_and_paths_precede_repositories() {
        let mirrors = ["https://a.example/hub", "http://10.0.0.1:5000"].map(String::from);
        let text = hosts("docker.io", &mirrors).unwrap();
        let wanted = "[host.\"https://a.example/v2/hub\"]\ncapabilities = [\"pull\", \"resolve\"]\noverride_path = true\n\n\
            [host.\"http://10.0.0.1:5000\"]\ncapabilities = [\"pull\", \"resolve\"]\n";
        assert_eq!(text, wanted);
        let error = hosts("a.example/team", &mirrors).unwrap_err();
        assert!(error.to_string().contains("`a.example/team`"), "{error}");
    }
}
