//! Shifts the time of day by the seconds in `FAULT_CLOCK`. Monotonic clocks aren't shifted.

use crate::real::Real;
use libc::{c_int, c_void, clockid_t, time_t, timespec, timeval};
use std::ffi::CStr;
use std::sync::OnceLock;

static CLOCK_GETTIME: Real = Real::new(c"clock_gettime");
static GETTIMEOFDAY: Real = Real::new(c"gettimeofday");

type ClockGettime = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
type Gettimeofday = unsafe extern "C" fn(*mut timeval, *mut c_void) -> c_int;

/// The shift in seconds. Doesn't use `std::env`, because the time may be read before the program
/// has started.
fn moved() -> time_t {
    static MOVED: OnceLock<time_t> = OnceLock::new();
    *MOVED.get_or_init(|| {
        // SAFETY: the name ends with a NUL; no thread changes the environment this early.
        let value = unsafe { libc::getenv(c"FAULT_CLOCK".as_ptr()) };
        if value.is_null() {
            return 0;
        }
        // SAFETY: values of the environment end with a NUL.
        let text = unsafe { CStr::from_ptr(value) };
        text.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    })
}

/// clock_gettime(3).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: this is the function of that name, by its own signature.
    let real = unsafe { std::mem::transmute::<*mut c_void, ClockGettime>(CLOCK_GETTIME.address()) };
    // SAFETY: the arguments are the caller's.
    let done = unsafe { real(clock, time) };
    if done == 0 && [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_COARSE].contains(&clock) {
        // SAFETY: the call succeeded, so it wrote there.
        if let Some(time) = unsafe { time.as_mut() } {
            time.tv_sec += moved();
        }
    }
    done
}

/// gettimeofday(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut timeval, zone: *mut c_void) -> c_int {
    // SAFETY: this is the function of that name, by its own signature.
    let real = unsafe { std::mem::transmute::<*mut c_void, Gettimeofday>(GETTIMEOFDAY.address()) };
    // SAFETY: the arguments are the caller's.
    let done = unsafe { real(time, zone) };
    // SAFETY: null, or written by the call above.
    if let Some(time) = unsafe { time.as_mut() } {
        time.tv_sec += moved();
    }
    done
}
