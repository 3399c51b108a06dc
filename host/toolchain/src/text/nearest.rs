//! Suggests a name for an unknown one. Must not know what the names belong to.

/// The end of a message about an unknown name: the nearest known name, or all of them if none is
/// near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    match nearest_of(name, &known) {
        Some(near) => format!(", did you mean `{near}`?"),
        None if known.is_empty() => ", there is none".into(),
        None => format!(", there is {}", words(&known)),
    }
}

/// The most similar known name, if one is similar enough.
pub fn nearest_of<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let near = known.iter().map(|other| (distance(other), *other)).min();
    // A third of the letters may be wrong, two in short names. Beyond that, the name must be the
    // beginning or the end of a known one.
    near.filter(|(distance, other)| *distance <= (lower.len() / 3).max(2) && *distance < other.len())
        .map(|(_, other)| other)
        .or_else(|| {
            known
                .iter()
                .copied()
                .find(|other| lower.len() > 2 && (other.starts_with(&lower) || other.ends_with(&lower)))
        })
}

/// Names as a list in a message: `a`, `b`.
pub fn words(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_or_all_are_listed() {
        assert_eq!(nearest("criio", ["crio", "etcd"]), ", did you mean `crio`?");
        assert_eq!(nearest("unlike", ["b", "a"]), ", there is `a`, `b`");
        assert_eq!(nearest("any", []), ", there is none");
        assert_eq!(nearest_of("level", &["log-level"]), Some("log-level"));
    }
}
