//! Decides which calls fail, by a text file with a rule in each line:
//! `CALL GLOB ERRNO PERMILLE COUNT`.
//!
//! CALL is `spawn`, `fork`, `open`, `write`, `sync`, `rename` or `mkdir`; GLOB is matched against
//! the path (`*` stands for any text); ERRNO is a number; PERMILLE is the probability in permille;
//! COUNT is the maximum number of faults. A line `seed N` makes the choices reproducible. A rule
//! applies while the file `RULES.armed.INDEX` exists. Each fault appends a byte to
//! `RULES.hits.INDEX`: all processes and the test count by its size.

use libc::c_int;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A rule of the file.
struct Rule {
    call: String,
    glob: Vec<u8>,
    errno: c_int,
    permille: u64,
    count: i64,
    armed: CString,
    hits: CString,
}

/// The rules and the seed of the file.
struct Rules {
    rules: Vec<Rule>,
    state: AtomicU64,
}

/// Read only once, when the library is loaded: a child between fork and exec must not allocate.
static RULES: OnceLock<Option<Rules>> = OnceLock::new();

/// Runs before `main` of the program.
#[used]
#[unsafe(link_section = ".init_array")]
static SETUP: extern "C" fn() = setup;

extern "C" fn setup() {
    crate::calls::resolve();
    let read = std::env::var_os("FAULT_RULES").and_then(|path| Rules::read(Path::new(&path)));
    let _ = RULES.set(read);
}

impl Rules {
    fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let beside = |suffix: String| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            CString::new(PathBuf::from(name).as_os_str().as_bytes()).ok()
        };
        let mut seed = 0;
        let mut rules = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["seed", number] => seed = number.parse().ok()?,
                [call, glob, errno, permille, count] => rules.push(Rule {
                    call: call.to_owned(),
                    glob: glob.as_bytes().to_vec(),
                    errno: errno.parse().ok()?,
                    permille: permille.parse().ok()?,
                    count: count.parse().ok()?,
                    armed: beside(format!(".armed.{}", rules.len()))?,
                    hits: beside(format!(".hits.{}", rules.len()))?,
                }),
                _ => {}
            }
        }
        Some(Self { rules, state: AtomicU64::new(seed) })
    }

    /// The next random number of the seed (splitmix64).
    fn next(&self) -> u64 {
        let mut z = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// The error of the rule that applies to a call, if any. Doesn't allocate.
pub fn fault(call: &str, path: &[u8]) -> Option<c_int> {
    let rules = RULES.get()?.as_ref()?;
    // Calls without a path, and those that only read.
    if path.is_empty() && call != "fork" {
        return None;
    }
    for rule in rules.rules.iter().filter(|rule| rule.call == call && matches(&rule.glob, path)) {
        // SAFETY: the path ends with a NUL.
        let armed = unsafe { libc::access(rule.armed.as_ptr(), libc::F_OK) };
        if armed == 0 && rules.next() % 1000 < rule.permille && counted(rule) {
            return Some(rule.errno);
        }
    }
    None
}

/// Counts a fault. Returns false if the maximum was reached before.
fn counted(rule: &Rule) -> bool {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
    // SAFETY: the path ends with a NUL, and the arguments are those of openat(2). Called by number,
    // because `open` itself may fail.
    let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, rule.hits.as_ptr(), flags, 0o600) };
    let Ok(file) = c_int::try_from(file) else { return false };
    if file < 0 {
        return false;
    }
    // SAFETY: the descriptor was opened above.
    let size = unsafe { libc::lseek(file, 0, libc::SEEK_END) };
    let wanted = size < rule.count;
    if wanted {
        // SAFETY: one byte is read from a buffer that has one.
        unsafe { libc::syscall(libc::SYS_write, file, b".".as_ptr(), 1_usize) };
    }
    // SAFETY: nothing else uses the descriptor.
    unsafe { libc::close(file) };
    wanted
}

/// Whether a text matches a pattern. `*` stands for any text.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while seen < text.len() {
        if glob.get(at) == Some(&b'*') {
            retry = Some((at, seen));
            at += 1;
        } else if glob.get(at) == Some(&text[seen]) {
            (at, seen) = (at + 1, seen + 1);
        } else if let Some((star, start)) = retry {
            retry = Some((star, start + 1));
            (at, seen) = (star + 1, start + 1);
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (glob, text, wanted) in [
            ("*", "/a/b", true),
            ("/a/*", "/a/b/c", true),
            ("*/boot.json", "/r/run/boot.json", true),
            ("*/run/*.json", "/r/run/run/x.json", true),
            ("/a/*", "/b/a/", false),
            ("*.json", "/a.json.x", false),
            ("", "", true),
            ("a", "", false),
        ] {
            assert_eq!(matches(glob.as_bytes(), text.as_bytes()), wanted, "{glob} {text}");
        }
    }

    #[test]
    fn a_file_with_an_invalid_rule_is_ignored() {
        let path = std::env::temp_dir().join(format!("kubernix-preload-{}", std::process::id()));
        std::fs::write(&path, "seed 7\nopen */x 28 500 2\nspawn * 11 1000 1\n").unwrap();
        let rules = Rules::read(&path).unwrap();
        std::fs::write(&path, "open */x ENOSPC 500 2\n").unwrap();
        let wrong = Rules::read(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(rules.rules.iter().map(|rule| rule.errno).collect::<Vec<_>>(), [28, 11]);
        assert!(
            rules.rules[1].hits.to_bytes().ends_with(b".hits.1")
                && rules.rules[0].armed.to_bytes().ends_with(b".armed.0")
        );
        assert!(wrong.is_none());
    }

    #[test]
    fn the_seed_fixes_the_choices() {
        let of = |seed| Rules { rules: Vec::new(), state: AtomicU64::new(seed) };
        let take = |rules: Rules| [rules.next(), rules.next(), rules.next()];
        assert_eq!(take(of(3)), take(of(3)));
        assert_ne!(take(of(3)), take(of(4)));
    }

    #[test]
    fn faults_are_limited_to_the_count() {
        let path = std::env::temp_dir().join(format!("kubernix-preload-hits-{}", std::process::id()));
        let rule = Rule {
            call: "open".to_owned(),
            glob: b"*".to_vec(),
            errno: 28,
            permille: 1000,
            count: 2,
            armed: CString::default(),
            hits: CString::new(path.as_os_str().as_bytes()).unwrap(),
        };
        let counted: Vec<bool> = (0..4).map(|_| counted(&rule)).collect();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(counted, [true, true, false, false]);
    }
}
