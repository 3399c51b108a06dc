//! Detects a full disk as the likely cause of a failed boot.

use crate::root_dir::free_bytes;
use std::path::Path;

/// Free space, in bytes, below which a failure is attributed to the disk: etcd alone reserves 64
/// MiB for its log.
const LOW_SPACE: u64 = 80 << 20;
/// The messages of ENOSPC and EDQUOT, in lower case, as the C library, Go and Rust print them.
const MESSAGES: [&str; 2] = ["no space left on device", "disk quota exceeded"];

/// A sentence to add to the error of a failed boot, if a full disk is its likely cause.
///
/// A process that ends releases space. So the error text is examined too, not only the space that
/// is free after the boot.
pub fn hint(error: &str, root: &Path) -> Option<String> {
    hint_for(error, root, free_bytes(root))
}

fn hint_for(error: &str, root: &Path, free: Option<u64>) -> Option<String> {
    let root = root.display();
    let mib = free.map(|bytes| bytes >> 20);
    if let (Some(bytes), Some(mib)) = (free, mib)
        && bytes < LOW_SPACE
    {
        return Some(format!("The disk that holds {root} is full: {mib} MiB are free"));
    }
    let error = error.to_lowercase();
    let message = MESSAGES.iter().find(|message| error.contains(**message))?;
    let left = mib.map_or_else(String::new, |mib| format!("; the disk of {root} has {mib} MiB free now"));
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
    fn low_space_gives_a_hint_for_any_error() {
        let hint = hint("etcd failed to start", 3).expect("3 MiB are too few");
        assert_eq!(hint, "The disk that holds /root-directory is full: 3 MiB are free");
    }

    #[test]
    fn enospc_in_an_error_gives_a_hint_although_space_is_free() {
        for error in [ETCD, "write: No space left on device (os error 28)", "mkdir: Disk quota exceeded"] {
            let hint = hint(error, 500).expect(error);
            assert!(hint.starts_with("A disk is full: ") && hint.contains("500 MiB"), "{hint}");
        }
        assert!(hint_for(ETCD, Path::new("/gone"), None).is_some());
    }

    #[test]
    fn other_errors_give_no_hint() {
        assert_eq!(hint("etcd failed to start: address already in use", 500), None);
        assert_eq!(hint_for("etcd failed to start", Path::new("/gone"), None), None);
    }
}
