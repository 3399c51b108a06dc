//! Where images come from: which registries are asked in place of the one that an image's name begins with.

use std::fmt;
use std::str::FromStr;

/// A registry, or a part of one, that others are asked for first. As text: the prefix and the mirrors, separated by spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registry {
    /// What images' names begin with: `docker.io`, `127.0.0.1:5000`, `registry.example/team`.
    pub prefix: String,
    /// What is asked, in this order, before the registry of the name itself: URLs, `http://` or `https://`. A path is put before
    /// repositories' names.
    pub mirrors: Vec<String>,
}

impl Registry {
    /// A registry and its mirrors.
    pub fn new(prefix: impl Into<String>, mirrors: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { prefix: prefix.into(), mirrors: mirrors.into_iter().map(Into::into).collect() }
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)?;
        self.mirrors.iter().try_for_each(|mirror| write!(f, " {mirror}"))
    }
}

impl FromStr for Registry {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        Ok(Self::new(words.next().unwrap_or_default(), words))
    }
}
