//! Writes log records to standard error as text or JSON, above the progress display.

use crate::cli::{Global, LogFormat};
use crate::progress;
use anyhow::{Context, Result};
use fern::{Dispatch, Output};
use log::{Level, LevelFilter, Record};
use serde_json::json;
use std::fmt::Arguments;
use std::io::Write;

/// Sets the logger up for the whole process.
pub fn set_up(flags: &Global) -> Result<()> {
    let (own, others) = levels(flags);
    let format = flags.log_format;
    Dispatch::new()
        .level(own.max(others))
        .filter(move |metadata| {
            metadata.level() <= if metadata.target().starts_with("kubernix") { own } else { others }
        })
        .format(move |out, message, record| match format {
            LogFormat::Text => out.finish(format_args!("{}", text(message, record))),
            LogFormat::Json => out.finish(format_args!("{}", json(message, record))),
        })
        .chain(Output::call(|record| progress::print(record.args())))
        // Collects messages about panics in plugins that no call returns.
        .chain(Output::from(kubernix_testkit::kit::observer()))
        .apply()
        .context("can't set up logging")
}

/// Sets the logger up for a process whose standard error is a log file: plain lines with
/// timestamps.
pub fn set_up_plain() -> Result<()> {
    Dispatch::new()
        .level(LevelFilter::Info)
        .format(|out, message, record| {
            // Milliseconds are precise enough to compare with the logs of components.
            out.finish(format_args!("{:.3} {}", jiff::Timestamp::now(), text(message, record)));
        })
        // Not fern's own output: it panics if standard error can't be written, for instance on a
        // full disk. A panic of the sandbox's init would end the cluster.
        .chain(Output::call(|record| {
            let _ = writeln!(std::io::stderr(), "{}", record.args());
        }))
        .apply()
        .context("can't set up logging")
}

/// The levels of KuberNix' own records, and of those of libraries.
fn levels(flags: &Global) -> (LevelFilter, LevelFilter) {
    match (flags.quiet, flags.verbose) {
        (true, _) => (LevelFilter::Warn, LevelFilter::Error),
        (_, 0) => (LevelFilter::Info, LevelFilter::Warn),
        (_, 1) => (LevelFilter::Debug, LevelFilter::Info),
        _ => (LevelFilter::Trace, LevelFilter::Debug),
    }
}

fn text(message: &Arguments<'_>, record: &Record<'_>) -> String {
    match record.level() {
        Level::Error => format!("error: {message}"),
        Level::Warn => format!("warning: {message}"),
        Level::Info => message.to_string(),
        Level::Debug | Level::Trace => format!("[{}] {message}", record.target()),
    }
}

fn json(message: &Arguments<'_>, record: &Record<'_>) -> String {
    let fields = json!({
        "time": jiff::Timestamp::now().to_string(),
        "level": record.level().as_str().to_lowercase(),
        "target": record.target(),
        "message": message.to_string(),
    });
    fields.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_json_record_is_one_line() {
        let record = Record::builder().level(Level::Warn).target("kubernix_host").build();
        let line = json(&format_args!("two\nlines and \"quotes\""), &record);
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["level"], &value["message"]), (&json!("warn"), &json!("two\nlines and \"quotes\"")));
    }

    #[test]
    fn text_marks_errors_and_warnings() {
        let at = |level| text(&format_args!("x"), &Record::builder().level(level).target("t").build());
        assert_eq!(
            [at(Level::Error), at(Level::Warn), at(Level::Info), at(Level::Debug)],
            ["error: x", "warning: x", "x", "[t] x"]
        );
    }
}
