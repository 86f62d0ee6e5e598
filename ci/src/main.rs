//! Entry point of `cargo xtask`; everything it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::cli::main()
}
