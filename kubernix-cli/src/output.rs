//! Results on standard output: tables and outlines as text, or JSON.

use crate::cli::Output;
use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use std::fmt::{self, Display};
use std::io::Write;

/// Prints a result in the selected format: the value as indented JSON, or the text that `text`
/// returns for it.
///
/// # Errors
/// Standard output can't be written.
pub fn show<T: Serialize, D: Display>(output: Output, value: &T, text: impl FnOnce(&T) -> D) -> Result<()> {
    match output {
        Output::Text => print(text(value)),
        Output::Json => print(serde_json::to_string_pretty(value)?),
    }
}

/// Prints a text, and a line break if it has none at its end.
///
/// # Errors
/// Standard output can't be written.
pub fn print(text: impl Display) -> Result<()> {
    let mut text = text.to_string();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// A table with aligned columns.
#[derive(Debug)]
pub struct Table {
    /// The headers. Columns whose header begins with `>` are aligned to the right.
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers; a `>` before one aligns its column to the right.
    pub fn new(headers: &[&'static str]) -> Self {
        Self { headers: headers.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    #[must_use]
    pub fn row<const N: usize>(mut self, cells: [String; N]) -> Self {
        self.rows.push(cells.into());
        self
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|header| header.trim_start_matches('>')).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([names[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..names.len()).map(width).collect();
        let mut line = |cells: Vec<&str>| {
            let columns = cells.iter().zip(&widths).zip(&self.headers).map(|((cell, &width), header)| {
                if header.starts_with('>') { format!("{cell:>width$}") } else { format!("{cell:width$}") }
            });
            writeln!(f, "{}", columns.collect::<Vec<_>>().join("  ").trim_end())
        };
        line(names.clone())?;
        self.rows.iter().try_for_each(|row| line(row.iter().map(String::as_str).collect()))
    }
}

/// Formats a value as an indented outline: keys, dashes for lists, texts of several lines as
/// blocks. Omits empty values.
pub fn outline(value: &Value) -> String {
    let mut text = String::new();
    write_outline(&mut text, value, 0);
    text
}

fn write_outline(text: &mut String, value: &Value, depth: usize) {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            // Scalars first, because they often name the object.
            let (short, long): (Vec<_>, Vec<_>) =
                fields.iter().filter(|(_, value)| !is_empty(value)).partition(|(_, value)| is_short(value));
            for (key, value) in short.into_iter().chain(long) {
                text.push_str(&format!("{pad}{key}:"));
                write_value(text, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                // The first line of an item is on the line of its dash.
                let mut inner = String::new();
                match item {
                    Value::Object(_) | Value::Array(_) => write_outline(&mut inner, item, depth + 1),
                    scalar => inner = format!("{pad}  {}\n", self::scalar(scalar)),
                }
                text.push_str(&format!("{pad}- {}", inner.trim_start_matches(' ')));
            }
        }
        other => text.push_str(&format!("{pad}{}\n", scalar(other))),
    }
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(_) | Value::Array(_) => {
            text.push('\n');
            write_outline(text, value, depth + 1);
        }
        Value::String(lines) if lines.contains('\n') => {
            text.push_str(" |\n");
            for line in lines.lines() {
                text.push_str(format!("{}{line}", "  ".repeat(depth + 1)).trim_end());
                text.push('\n');
            }
        }
        other => text.push_str(&format!(" {}\n", scalar(other))),
    }
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\n'),
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Formats a size in bytes: `64.0 MiB`.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = units[0];
    for next in &units[1..] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    format!("{size:.1} {unit}")
}

/// Formats a span of time: `42 s`, `3 m 12 s`, `5 h 2 m`, `2 d 4 h`.
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} m {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} m", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let cells = |a: &str, b: &str, c: &str| [a.to_owned(), b.to_owned(), c.to_owned()];
        let table =
            Table::new(&["NAME", ">SIZE", "STATE"]).row(cells("größer", "7", "ok")).row(cells("b", "12345", ""));
        assert_eq!(table.to_string(), "NAME     SIZE  STATE\ngrößer      7  ok\nb       12345\n");
    }

    #[test]
    fn an_outline_omits_empty_values() {
        let value =
            json!([{"name": "etcd", "args": ["-a", "b"], "none": [], "file": {"content": "x\n  y\n", "mode": 384}}]);
        assert_eq!(
            outline(&value),
            "- name: etcd\n  args:\n    - -a\n    - b\n  file:\n    mode: 384\n    content: |\n      x\n        y\n"
        );
    }

    #[test]
    fn sizes_and_spans_are_formatted() {
        assert_eq!(
            [0, 1023, 1024, 64 << 20, u64::MAX].map(size),
            ["0 B", "1023 B", "1.0 KiB", "64.0 MiB", "16777216.0 TiB"]
        );
        assert_eq!([5, 192, 18_120, 187_200].map(span), ["5 s", "3 m 12 s", "5 h 2 m", "2 d 4 h"]);
    }
}
