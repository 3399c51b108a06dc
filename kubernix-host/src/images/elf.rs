//! Checks whether a program is linked dynamically, see elf(5). Must not know of images.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// `PT_INTERP`: the segment that names the dynamic linker.
const INTERPRETER: u32 = 3;

/// Whether a file is a 64-bit ELF program that needs a dynamic linker. `false` for all other files,
/// such as scripts.
pub(super) fn is_dynamic(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut header = [0; 64];
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(false);
    }
    let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let offset = u64::from_le_bytes(header[32..40].try_into().map_err(io::Error::other)?);
    let (size, count) = (short(54), short(56));
    for index in 0..u64::from(count) {
        let mut kind = [0; 4];
        file.seek(SeekFrom::Start(offset + index * u64::from(size)))?;
        file.read_exact(&mut kind)?;
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Ok(true);
        }
    }
    Ok(false)
}
