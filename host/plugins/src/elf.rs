//! Checks whether a file can be a shared library for this machine, before the dynamic linker reads
//! it: a truncated file would end this process with SIGBUS, and the linker's error about a library
//! for another machine is hard to understand.
//!
//! It must not run anything of the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The machine of this build, as ELF numbers it (elf(5), `e_machine`).
const MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
/// `ET_DYN`: a shared object.
const SHARED_OBJECT: u16 = 3;
/// `PT_LOAD`: a part of the file that is mapped.
const LOAD: u32 = 1;
/// The size of a program header of a 64-bit file.
const PROGRAM_HEADER: u16 = 56;

/// Why a file can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It can't be read.
    #[error("can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It isn't ELF.
    #[error("not an ELF file{0}")]
    NotElf(&'static str),
    /// It is of a class or byte order that this machine doesn't load.
    #[error("not a 64-bit little-endian ELF file")]
    OtherClass,
    /// It is for another processor.
    #[error("built for another CPU (ELF machine {found}, this host is {MACHINE})")]
    OtherMachine {
        /// The machine's number.
        found: u16,
    },
    /// It is a program or an object file.
    #[error("not a shared object (ELF type {0})")]
    OtherType(u16),
    /// Its headers are invalid.
    #[error("its program headers are broken")]
    BrokenHeaders,
    /// It is truncated.
    #[error("cut off: {length} bytes, segment {segment} ends at {end}")]
    CutOff {
        /// Its length.
        length: u64,
        /// The first segment that isn't complete.
        segment: u16,
        /// Where that segment would end.
        end: u64,
    },
}

/// Checks a file's headers.
///
/// # Errors
/// See [`ElfError`].
pub fn check(path: &Path) -> Result<(), ElfError> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; 64];
    match file.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ElfError::NotElf(" (too short)")),
        other => other?,
    }
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    if header[..4] != *b"\x7fELF" {
        return Err(ElfError::NotElf(""));
    }
    if header[4..6] != [2, 1] {
        return Err(ElfError::OtherClass);
    }
    match (half(18), half(16)) {
        (MACHINE, SHARED_OBJECT) => {}
        (MACHINE, other) => return Err(ElfError::OtherType(other)),
        (found, _) => return Err(ElfError::OtherMachine { found }),
    }
    let (table, size, count) = (long(&header, 32), half(54), half(56));
    if size < PROGRAM_HEADER || count == 0 {
        return Err(ElfError::BrokenHeaders);
    }
    for segment in 0..count {
        let mut program = [0; PROGRAM_HEADER as usize];
        let at = table.saturating_add(u64::from(segment) * u64::from(size));
        file.seek(SeekFrom::Start(at))?;
        if file.read_exact(&mut program).is_err() {
            return Err(ElfError::CutOff { length, segment, end: at.saturating_add(u64::from(size)) });
        }
        let kind = u32::from_le_bytes([program[0], program[1], program[2], program[3]]);
        let end = long(&program, 8).saturating_add(long(&program, 32));
        if kind == LOAD && end > length {
            return Err(ElfError::CutOff { length, segment, end });
        }
    }
    Ok(())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn rejection(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, content).unwrap();
        check(&path).unwrap_err().to_string()
    }

    /// The test itself is an ELF file for this machine.
    fn real() -> Vec<u8> {
        fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn each_kind_of_other_file_has_its_own_error() {
        assert_eq!(rejection(b""), "not an ELF file (too short)");
        assert_eq!(rejection(&[b'#'; 100]), "not an ELF file");
        let with = |at: usize, value: u8| {
            let mut content = real();
            content[at] = value;
            rejection(&content)
        };
        assert_eq!(with(4, 1), "not a 64-bit little-endian ELF file");
        assert_eq!(with(18, 21), format!("built for another CPU (ELF machine 21, this host is {MACHINE})"));
        assert_eq!(with(16, 1), "not a shared object (ELF type 1)");
        let mut content = real();
        content[54..58].fill(0);
        assert_eq!(rejection(&content), "its program headers are broken");
    }

    #[test]
    fn a_truncated_file_is_rejected() {
        let content = real();
        for part in [65, 1_000, 100_000] {
            let error = rejection(&content[..part]);
            assert!(error.starts_with(&format!("cut off: {part} bytes, segment ")), "{error}");
        }
    }
}
