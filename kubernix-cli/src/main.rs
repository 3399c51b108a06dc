//! The `kubernix` command. Its code is in the library, so that tests and tools can use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubernix_cli::main(std::env::args_os().collect())
}
