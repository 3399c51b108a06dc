//! Reads mount points from a mountinfo file (proc_pid_mountinfo(5)).

use std::path::PathBuf;

/// The mount points in the order of the file. A mount point with several stacked mounts is
/// repeated.
pub fn points(mountinfo: &str) -> impl Iterator<Item = PathBuf> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| {
        // Space, tab, newline and backslash are escaped as octal numbers.
        let plain = point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
        PathBuf::from(plain)
    })
}
