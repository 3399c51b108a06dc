//! Man pages of section 1, one for each command.

use clap::Command;
use clap_mangen::Man;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Renders the man page of a command as roff.
///
/// # Errors
/// The page can't be rendered. clap_mangen returns errors of its writer, but writing to a vector
/// can't fail.
pub fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man(command).render(&mut page)?;
    Ok(page)
}

/// Writes the man pages of these commands into a directory, which is created if it is missing.
/// Returns their paths.
///
/// # Errors
/// The directory can't be created, or a page can't be written.
pub fn write(commands: &[Command], directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory)?;
    commands.iter().map(|command| man(command).generate_to(directory)).collect()
}

/// Without a date, so that the same definitions give the same page. The date is a space, because
/// clap_mangen writes an empty text without quotes, and the next field would become the date.
fn man(command: &Command) -> Man {
    Man::new(command.clone()).date(" ").source(concat!("kubernix ", env!("CARGO_PKG_VERSION"))).manual("KuberNix")
}
