//! Looks up libc's functions that this library replaces.

use libc::{c_char, c_int, c_void};
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function of libc that this library replaces.
pub struct Real {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Real {
    /// A function that isn't looked up yet.
    pub const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// Its address. It is looked up only once, because a child between fork and exec must not take
    /// a lock.
    pub fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name ends with a NUL, and RTLD_NEXT is valid in a library that is loaded.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // The program called a function that doesn't exist: it can't continue.
            std::process::abort();
        }
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// Sets `errno` and returns what libc's functions return on failure.
pub fn fail(errno: c_int) -> c_int {
    // SAFETY: libc returns the address of this thread's own `errno`.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the address is valid until the thread ends.
    unsafe { place.write(errno) };
    -1
}

/// The path that a caller of libc passed; empty for null.
///
/// # Safety
/// The pointer is null or leads to a text that ends with a NUL and outlives the call.
pub unsafe fn text<'a>(path: *const c_char) -> &'a [u8] {
    if path.is_null() {
        return b"";
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(path) }.to_bytes()
}
