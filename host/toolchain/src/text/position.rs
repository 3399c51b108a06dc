//! Positions in a text, as editors show them.

/// The line and the column in characters of a byte, both from 1.
pub fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_characters_are_counted_from_one() {
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("a\nöb", 4), (2, 2));
        assert_eq!(position("a", 9), (1, 2), "a byte after the end counts as the end");
    }
}
