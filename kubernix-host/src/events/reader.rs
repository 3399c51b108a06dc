//! Reads recorded events. Skips lines that a crash cut off or that a newer version wrote.

use super::Record;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// All events of a file, oldest first.
///
/// # Errors
/// The file can't be read.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    Ok(records(BufReader::new(File::open(path)?)).collect())
}

/// The events of a stream, each as soon as it arrives. Ends with the stream or at its first read
/// error.
pub fn records(reader: impl BufRead) -> impl Iterator<Item = Record> {
    // As bytes, because an incomplete line may end inside a character.
    reader.split(b'\n').map_while(Result::ok).filter_map(|line| {
        let record = serde_json::from_slice(&line);
        if let Err(error) = &record
            && !line.is_empty()
        {
            log::debug!("skipping an event that can't be parsed: {error}");
        }
        record.ok()
    })
}

/// Whether the file's last line lacks its line end.
pub(super) fn ends_incomplete(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;

    #[test]
    fn incomplete_and_unknown_lines_are_skipped() {
        let text = concat!(
            r#"{"at_us":1,"event":"boot-ready"}"#,
            "\n",
            r#"{"at_us":2,"event":"of-a-later-version","colour":"blue"}"#,
            "\n",
            r#"{"at_us":3,"event":"note","message":"ü"#,
        );
        // Cut inside the two bytes of the last character.
        let found: Vec<Record> = records(&text.as_bytes()[..text.len() - 1]).collect();
        assert_eq!(found, [Record { at_us: 1, event: Event::BootReady }]);
    }
}
