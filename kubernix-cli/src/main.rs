//! The `kubernix` command. All of it is in the library, so that tests and tools can see its
//! commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubernix_cli::main(std::env::args_os().collect())
}
