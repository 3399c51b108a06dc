//! The `kubernix` command.
fn main() {}
