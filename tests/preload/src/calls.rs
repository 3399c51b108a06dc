//! Wraps the calls that can fail: Rust's standard library starts processes and writes files with
//! them.
//!
//! It starts a process by `posix_spawnp`, or by `fork` and `execvp` if something has to run in
//! between. glibc's `posix_spawnp` doesn't come back to `execvp`, so both are wrapped.

use crate::real::{Real, fail, text};
use crate::rules::fault;
use libc::{c_char, c_int, c_void, mode_t, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t, size_t, ssize_t};

type Argv = *const *const c_char;
type Execvp = unsafe extern "C" fn(*const c_char, Argv) -> c_int;
type Execve = unsafe extern "C" fn(*const c_char, Argv, Argv) -> c_int;
type Spawn = unsafe extern "C" fn(
    *mut pid_t,
    *const c_char,
    *const posix_spawn_file_actions_t,
    *const posix_spawnattr_t,
    *const *mut c_char,
    *const *mut c_char,
) -> c_int;
type Fork = unsafe extern "C" fn() -> pid_t;
// These two take their mode as a variadic argument, and Rust can't define variadic functions. On
// all Linux targets of Rust, a third integer argument is passed the same way as without the dots.
type Open = unsafe extern "C" fn(*const c_char, c_int, mode_t) -> c_int;
type Openat = unsafe extern "C" fn(c_int, *const c_char, c_int, mode_t) -> c_int;
type Write = unsafe extern "C" fn(c_int, *const c_void, size_t) -> ssize_t;
type OfFile = unsafe extern "C" fn(c_int) -> c_int;
type Rename = unsafe extern "C" fn(*const c_char, *const c_char) -> c_int;
type Mkdir = unsafe extern "C" fn(*const c_char, mode_t) -> c_int;

/// Defines a function of libc that checks the rules first, with `$call` and `$path`.
macro_rules! wrapped {
    ($($real:ident, $name:ident, $symbol:literal, $type:ty, ($($arg:ident: $of:ty),*) -> $result:ty,
       $call:literal, $path:expr, $failed:expr;)*) => {
        $(
            static $real: Real = Real::new($symbol);

            /// libc's function of this name.
            ///
            /// # Safety
            /// As libc's.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($arg: $of),*) -> $result {
                if let Some(errno) = fault($call, $path) {
                    return $failed(errno);
                }
                // SAFETY: this is the function of that name, by its own signature.
                let real = unsafe { std::mem::transmute::<*mut c_void, $type>($real.address()) };
                // SAFETY: the arguments are the caller's.
                unsafe { real($($arg),*) }
            }
        )*

        /// Looks up all wrapped functions before any thread or child exists.
        pub fn resolve() {
            $( $real.address(); )*
        }
    };
}

/// The path at a pointer that the caller of libc passed.
macro_rules! at {
    ($path:expr) => {
        // SAFETY: libc's callers pass paths that end with a NUL.
        unsafe { text($path) }
    };
}

wrapped! {
    EXECVP, execvp, c"execvp", Execvp, (file: *const c_char, argv: Argv) -> c_int, "spawn", at!(file), fail;
    EXECVE, execve, c"execve", Execve, (file: *const c_char, argv: Argv, envp: Argv) -> c_int, "spawn", at!(file), fail;
    SPAWN, posix_spawn, c"posix_spawn", Spawn,
        (pid: *mut pid_t, file: *const c_char, actions: *const posix_spawn_file_actions_t,
         attributes: *const posix_spawnattr_t, argv: *const *mut c_char, envp: *const *mut c_char) -> c_int,
        "spawn", at!(file), returned;
    SPAWNP, posix_spawnp, c"posix_spawnp", Spawn,
        (pid: *mut pid_t, file: *const c_char, actions: *const posix_spawn_file_actions_t,
         attributes: *const posix_spawnattr_t, argv: *const *mut c_char, envp: *const *mut c_char) -> c_int,
        "spawn", at!(file), returned;
    FORK, fork, c"fork", Fork, () -> pid_t, "fork", b"", fail;
    OPEN, open, c"open", Open, (path: *const c_char, flags: c_int, mode: mode_t) -> c_int, "open", opened(flags, at!(path)), fail;
    OPEN64, open64, c"open64", Open, (path: *const c_char, flags: c_int, mode: mode_t) -> c_int,
        "open", opened(flags, at!(path)), fail;
    OPENAT, openat, c"openat", Openat, (at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int,
        "open", opened(flags, at!(path)), fail;
    OPENAT64, openat64, c"openat64", Openat, (at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int,
        "open", opened(flags, at!(path)), fail;
    WRITE, write, c"write", Write, (file: c_int, bytes: *const c_void, count: size_t) -> ssize_t,
        "write", of_file(file, &mut [0; 512]), no_bytes;
    FSYNC, fsync, c"fsync", OfFile, (file: c_int) -> c_int, "sync", of_file(file, &mut [0; 512]), fail;
    FDATASYNC, fdatasync, c"fdatasync", OfFile, (file: c_int) -> c_int, "sync", of_file(file, &mut [0; 512]), fail;
    RENAME, rename, c"rename", Rename, (from: *const c_char, to: *const c_char) -> c_int, "rename", at!(to), fail;
    MKDIR, mkdir, c"mkdir", Mkdir, (path: *const c_char, mode: mode_t) -> c_int, "mkdir", at!(path), fail;
}

/// `posix_spawn` returns its error and doesn't set `errno`.
fn returned(errno: c_int) -> c_int {
    errno
}

fn no_bytes(errno: c_int) -> ssize_t {
    // -1, whatever the width.
    fail(errno) as ssize_t
}

/// Only opening for writing fails. A test can make files unreadable without this library.
fn opened(flags: c_int, path: &[u8]) -> &[u8] {
    if flags & libc::O_ACCMODE == libc::O_RDONLY { b"" } else { path }
}

/// The path of an open file. Doesn't allocate: it runs between fork and exec as well.
fn of_file(file: c_int, buffer: &mut [u8; 512]) -> &[u8] {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    let mut link = [0_u8; 32];
    link[..PREFIX.len()].copy_from_slice(PREFIX);
    let mut digits = [0_u8; 10];
    let (mut rest, mut count) = (file.unsigned_abs(), 0);
    loop {
        // One digit.
        digits[count] = b'0' + (rest % 10) as u8;
        (rest, count) = (rest / 10, count + 1);
        if rest == 0 {
            break;
        }
    }
    for (at, digit) in digits[..count].iter().rev().enumerate() {
        link[PREFIX.len() + at] = *digit;
    }
    // SAFETY: the link's name ends with a NUL, and as many bytes are written as the buffer has.
    let length = unsafe { libc::readlink(link.as_ptr().cast(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(length).map_or(b"", |length| &buffer[..length])
}
