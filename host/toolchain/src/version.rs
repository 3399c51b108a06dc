//! Parses versions as programs print them, leniently.
//!
//! This module must not know how a program is run, nor which versions are required.

use semver::Version;

/// The version that follows `after` in what a program printed.
pub fn find(printed: &str, after: &str) -> Option<Version> {
    let (_, rest) = printed.split_once(after)?;
    parse(rest.split(|c: char| c.is_whitespace() || c == ',').next()?)
}

/// Parses `1.2.3`, `v1.2.3`, `1.2`, and versions of distributions (`2.1.6+ds1`,
/// `1.1.12-0ubuntu3~22.04`).
pub fn parse(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text[..end].trim_end_matches('.').split('.');
    let major = numbers.next()?.parse().ok()?;
    let mut next = || numbers.next().map_or(Some(0), |n| n.parse().ok());
    Some(Version::new(major, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_the_output_of_each_tool() {
        let cases = [
            ("Kubernetes v1.36.3\n", "Kubernetes ", "1.36.3"),
            ("Client Version: v1.36.3\nKustomize Version: v5.8.1\n", "Client Version: ", "1.36.3"),
            ("Client Version: v1.32.4-dispatcher\n", "Client Version: ", "1.32.4-dispatcher"),
            ("etcd Version: 3.6.14\nGit SHA: Not provided (use ./build)\n", "etcd Version: ", "3.6.14"),
            ("crio version 1.36.3\n   GitCommit:      unknown\n", "crio version ", "1.36.3"),
            ("runc version 1.5.2\nspec: 1.3.0\ngo: go1.26.8\nlibseccomp: 2.5.4\n", "runc version ", "1.5.2"),
            ("crictl version v1.36.0\n", "crictl version ", "1.36.0"),
            ("CNI bridge plugin v1.9.1\nCNI protocol versions supported: 0.1.0\n", "plugin ", "1.9.1"),
            ("conmon version 2.1.6\ncommit: unknown\n", "conmon version ", "2.1.6"),
            ("skopeo version 1.9.3\n", "skopeo version ", "1.9.3"),
            ("nftables v1.0.6 (Lester Gooch #5)\n", "nftables ", "1.0.6"),
            ("BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n", "BusyBox ", "1.35.0"),
        ];
        for (printed, after, expected) in cases {
            assert_eq!(find(printed, after).map(|v| v.to_string()).as_deref(), Some(expected), "{printed}");
        }
    }

    #[test]
    fn output_without_a_version_gives_none() {
        for (printed, after) in [
            ("crictl version unknown\n", "crictl version "),
            ("CNI bridge plugin version unknown", "plugin "),
            ("", "x"),
        ] {
            assert_eq!(find(printed, after), None, "{printed}");
        }
    }

    #[test]
    fn short_and_patched_versions_are_parsed() {
        for (text, expected) in [("1.2", "1.2.0"), ("v4", "4.0.0"), ("1.04.1", "1.4.1"), ("1.1.12_beta~1", "1.1.12")] {
            assert_eq!(parse(text).map(|v| v.to_string()).as_deref(), Some(expected), "{text}");
        }
    }
}
