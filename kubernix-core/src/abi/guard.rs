//! Catches panics at the boundary. A panic has to be caught in the copy of std that raised it, so
//! each side has its own guard.

use super::{AbiError, AbiResult};
use crate::{Error, ErrorKind, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic.
fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panicked without a message".to_owned(),
    };
    // Dropping a payload may panic as well.
    std::mem::forget(payload);
    text
}

/// Turns a panic into an error of the kind `PANIC` that names the method.
pub(super) fn guard<T>(method: &str, f: impl FnOnce() -> Result<T>) -> AbiResult<T> {
    let result = catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        Err(Error::new(ErrorKind::PANIC, panic_text(payload)).context(format!("`{method}` panicked")))
    });
    result.map_err(AbiError::from).into()
}

/// Guards a method that can't return an error: a panic is logged, and the fallback returned.
pub(super) fn guard_or<T>(method: &str, fallback: T, f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let text = panic_text(payload);
        // A logger that panics must not undo this.
        let logged = catch_unwind(AssertUnwindSafe(|| log::error!("`{method}` panicked: {text}")));
        logged.unwrap_or_else(std::mem::forget);
        fallback
    })
}
