//! `logs`: shows or follows the logs of components.

use super::App;
use crate::cli::LogsArgs;
use crate::exit::{Exit, Refusal};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The interval at which followed logs are read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The number of bytes that are read at once.
const CHUNK: u64 = 64 * 1024;

impl App {
    pub(super) fn logs(&self, args: &LogsArgs) -> Result<()> {
        let (_, cluster) = self.cluster()?;
        let chosen = labelled(choose(cluster.logs(), &args.components)?, cluster.root().path());
        let width = chosen.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let several = chosen.len() > 1;
        let mut logs: Vec<Log> = chosen
            .into_iter()
            .map(|(name, path)| Log::new(path, if several { format!("{name:width$} | ") } else { String::new() }))
            .collect();
        let mut out = io::stdout().lock();
        for log in &mut logs {
            if let Some(lines) = args.tail {
                log.skip_to_tail(lines)?;
            }
            log.copy(&mut out)?;
            if !args.follow {
                log.end(&mut out)?;
            }
        }
        out.flush()?;
        if !args.follow {
            return Ok(());
        }
        loop {
            std::thread::sleep(POLL_INTERVAL);
            for log in &mut logs {
                log.copy(&mut out)?;
            }
            out.flush()?;
            // `down` has removed the cluster's directory.
            if !cluster.root().path().exists() {
                return Ok(());
            }
        }
    }
}

/// The logs of the components or processes in `names`, or all logs if it is empty.
fn choose(logs: Vec<(String, PathBuf)>, names: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let is_of = |name: &str, (component, path): &(String, PathBuf)| {
        component == name || path.file_stem().is_some_and(|process| process == name)
    };
    for name in names {
        if !logs.iter().any(|log| is_of(name, log)) {
            let mut known: Vec<&str> = logs.iter().map(|(known, _)| known.as_str()).collect();
            known.dedup();
            return Err(Refusal::error(Exit::Usage, unknown(name, &known)));
        }
    }
    let is_selected = |log: &_| names.is_empty() || names.iter().any(|name| is_of(name, log));
    Ok(logs.into_iter().filter(is_selected).collect())
}

/// The logs with a label for each: the component's name, or the path if a component has several
/// logs.
fn labelled(logs: Vec<(String, PathBuf)>, root: &Path) -> Vec<(String, PathBuf)> {
    let label = |(name, path): &(String, PathBuf)| {
        let is_alone = logs.iter().filter(|(other, _)| other == name).count() == 1;
        let short = path.strip_prefix(root).unwrap_or(path).with_extension("");
        (if is_alone { name.clone() } else { short.display().to_string() }, path.clone())
    };
    logs.iter().map(label).collect()
}

fn unknown(name: &str, known: &[&str]) -> String {
    let distance = |other: &&&str| strsim::damerau_levenshtein(&name.to_lowercase(), other);
    let near = known.iter().min_by_key(distance).filter(|other| distance(other) <= (name.len() / 3).max(2));
    match near {
        Some(near) => format!("no component `{name}` has a log, did you mean `{near}`?"),
        None if known.is_empty() => "no component has a log yet".to_owned(),
        None => format!("no component `{name}` has a log; components with logs: {}", known.join(", ")),
    }
}

/// A log, and how far it was read.
struct Log {
    path: PathBuf,
    /// Written before each line.
    prefix: String,
    /// Inode, open file, and offset of the next byte to read.
    file: Option<(u64, File, u64)>,
    /// An incomplete line. Only used with a prefix.
    pending: Vec<u8>,
}

impl Log {
    fn new(path: PathBuf, prefix: String) -> Self {
        Self { path, prefix, file: None, pending: Vec::new() }
    }

    /// Writes the new part of the file. A missing file has none.
    fn copy(&mut self, out: &mut impl Write) -> Result<()> {
        let Some(end) = self.open()? else { return Ok(()) };
        let Some((_, file, at)) = &mut self.file else { return Ok(()) };
        let mut chunk = Vec::new();
        while *at < end {
            chunk.clear();
            file.seek(SeekFrom::Start(*at))?;
            let read = file.take(CHUNK.min(end - *at)).read_to_end(&mut chunk)?;
            if read == 0 {
                break;
            }
            *at += read as u64;
            if self.prefix.is_empty() {
                out.write_all(&chunk)?;
                continue;
            }
            self.pending.extend_from_slice(&chunk);
            while let Some(length) = self.pending.iter().position(|&byte| byte == b'\n') {
                out.write_all(self.prefix.as_bytes())?;
                out.write_all(&self.pending[..=length])?;
                self.pending.drain(..=length);
            }
        }
        Ok(())
    }

    /// Writes a last line without a line break.
    fn end(&mut self, out: &mut impl Write) -> Result<()> {
        if !self.pending.is_empty() {
            out.write_all(self.prefix.as_bytes())?;
            out.write_all(&self.pending)?;
            out.write_all(b"\n")?;
            self.pending.clear();
        }
        Ok(())
    }

    /// Opens the file at the path. Begins at its start if it was replaced or truncated. Returns its
    /// length; `None` if it doesn't exist.
    fn open(&mut self) -> Result<Option<u64>> {
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(error)),
        };
        match &mut self.file {
            Some((inode, _, at)) if *inode == metadata.ino() => {
                if metadata.len() < *at {
                    *at = 0;
                }
            }
            _ => {
                let file = File::open(&self.path).map_err(|error| self.unreadable(error))?;
                self.file = Some((metadata.ino(), file, 0));
            }
        }
        Ok(Some(metadata.len()))
    }

    /// Skips all but the last `lines` lines.
    fn skip_to_tail(&mut self, lines: usize) -> Result<()> {
        let Some(end) = self.open()? else { return Ok(()) };
        let Some((_, file, at)) = &mut self.file else { return Ok(()) };
        *at = tail(file, end, lines).with_context(|| format!("can't read the log {}", self.path.display()))?;
        Ok(())
    }

    fn unreadable(&self, error: io::Error) -> anyhow::Error {
        anyhow::Error::new(error).context(format!("can't read the log {}", self.path.display()))
    }
}

/// The offset at which the last `lines` lines of a file begin. Reads backwards from its end.
fn tail(file: &mut File, end: u64, lines: usize) -> io::Result<u64> {
    let (mut at, mut found) = (end, 0);
    let mut chunk = Vec::new();
    while at > 0 {
        let from = at.saturating_sub(CHUNK);
        chunk.resize(usize::try_from(at - from).unwrap_or(0), 0);
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut chunk)?;
        for (index, _) in chunk.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = from + index as u64 + 1;
            // No line begins after the last line break.
            if after == end {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok(after);
            }
        }
        at = from;
    }
    Ok(if lines == 0 { end } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(log: &mut Log) -> String {
        let mut out = Vec::new();
        log.copy(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_log_is_followed_through_growth_truncation_and_replacement() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.log");
        let mut log = Log::new(path.clone(), String::new());
        assert_eq!(read(&mut log), "", "not there yet");
        fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(read(&mut log), "one\ntwo\n");
        assert_eq!(read(&mut log), "");
        fs::write(&path, "cut\n").unwrap();
        assert_eq!(read(&mut log), "cut\n");
        fs::write(dir.path().join("new"), "replaced and longer\n").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(read(&mut log), "replaced and longer\n");
    }

    #[test]
    fn prefixed_lines_are_written_completely() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.log");
        let mut log = Log::new(path.clone(), "etcd | ".into());
        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(read(&mut log), "etcd | one\n");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(read(&mut log), "etcd | two\n");
        let mut out = Vec::new();
        log.end(&mut out).unwrap();
        assert_eq!(out, b"etcd | thr\n");
    }

    #[test]
    fn the_tail_has_the_requested_number_of_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.log");
        // Larger than a chunk, so that reading crosses a border.
        let lines: Vec<String> = (0..20_000).map(|n| format!("line {n}\n")).collect();
        fs::write(&path, lines.concat()).unwrap();
        for wanted in [0, 1, 3, 15_000, 20_000, 50_000] {
            let mut log = Log::new(path.clone(), String::new());
            log.skip_to_tail(wanted).unwrap();
            assert_eq!(read(&mut log), lines[lines.len().saturating_sub(wanted)..].concat(), "{wanted}");
        }
    }

    #[test]
    fn several_logs_of_a_component_are_labelled_by_path() {
        let logs =
            ["/r/nodes/a/crio/crio.log", "/r/nodes/b/crio/crio.log"].map(|path| ("crio".to_owned(), path.into()));
        let logs = logs.into_iter().chain([("etcd".to_owned(), "/r/control/etcd/etcd.log".into())]).collect();
        let labels: Vec<String> = labelled(logs, Path::new("/r")).into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["nodes/a/crio/crio", "nodes/b/crio/crio", "etcd"]);
    }

    #[test]
    fn an_unknown_component_is_rejected_with_the_most_similar_name() {
        let logs = || vec![("etcd".to_owned(), "/a".into()), ("apiserver".to_owned(), "/b".into())];
        let error = choose(logs(), &["apisever".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "no component `apisever` has a log, did you mean `apiserver`?");
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(
            choose(logs(), &["zzzzzz".to_owned()]).unwrap_err().to_string().ends_with("with logs: etcd, apiserver")
        );
        assert_eq!(choose(logs(), &["etcd".to_owned()]).unwrap().len(), 1);
        let by_process = vec![("proxy".to_owned(), "/r/nodes/node-0/proxy/setup.log".into())];
        assert_eq!(choose(by_process.clone(), &["setup".to_owned()]).unwrap(), by_process);
        assert_eq!(choose(logs(), &[]).unwrap().len(), 2);
    }
}
