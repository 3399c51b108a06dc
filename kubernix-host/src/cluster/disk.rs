//! Whether a full disk is the likely cause of a failed boot.

use crate::root::free_bytes;
use std::path::Path;

/// With less than this left, in bytes, a failure is probably the disk's: etcd alone reserves 64 MiB for its log.
const NEARLY_FULL: u64 = 80 << 20;
/// The messages of ENOSPC and EDQUOT, in lower case, as the C library, Go and Rust print them.
const MESSAGES: [&str; 2] = ["no space left on device", "disk quota exceeded"];

/// What to add to the error of a failed boot where a full disk is its likely cause.
///
/// A process that ends gives space back. So its error message counts too, and not only what is free after the boot.
pub fn hint(error: &str, root: &Path) -> Option<String> {
    hint_for(error, root, free_bytes(root))
}

fn hint_for(error: &str, root: &Path, free: Option<u64>) -> Option<String> {
    let root = root.display();
    let mib = free.map(|bytes| bytes >> 20);
    if let (Some(bytes), Some(mib)) = (free, mib)
        && bytes < NEARLY_FULL
    {
        return Some(format!("The disk that holds {root} is full: {mib} MiB are left"));
    }
    let error = error.to_lowercase();
    let message = MESSAGES.iter().find(|message| error.contains(**message))?;
    let left = mib.map_or_else(String::new, |mib| format!("; {mib} MiB are left now on the one that holds {root}"));
    Some(format!("A disk is full: a process failed with `{message}`{left}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETCD: &str = r#"failed to read WAL, cannot be repaired","error":"no space left on device""#;

    fn hint(error: &str, mib: u64) -> Option<String> {
        hint_for(error, Path::new("/root-directory"), Some(mib << 20))
    }

    #[test]
    fn a_full_disk_is_named_whatever_failed() {
        let said = hint("etcd failed to start", 3).expect("3 MiB are too few");
        assert_eq!(said, "The disk that holds /root-directory is full: 3 MiB are left");
    }

    #[test]
    fn a_disk_that_was_full_is_named_by_the_process_that_met_it() {
        for error in [ETCD, "write: No space left on device (os error 28)", "mkdir: Disk quota exceeded"] {
            let said = hint(error, 500).expect(error);
            assert!(said.starts_with("A disk is full: ") && said.contains("500 MiB"), "{said}");
        }
        assert!(hint_for(ETCD, Path::new("/gone"), None).is_some());
    }

    #[test]
    fn other_failures_are_not_blamed_on_the_disk() {
        assert_eq!(hint("etcd failed to start: address already in use", 500), None);
        assert_eq!(hint_for("etcd failed to start", Path::new("/gone"), None), None);
    }
}
