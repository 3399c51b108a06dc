//! Mount points, out of a mountinfo file (proc_pid_mountinfo(5)).

use std::path::PathBuf;

/// Where something is mounted, in the order of the file; a place twice where two things lie on each
/// other.
pub fn points(mountinfo: &str) -> impl Iterator<Item = PathBuf> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| {
        // Space, tab, newline and backslash are octal.
        let plain = point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
        PathBuf::from(plain)
    })
}
