//! Puts the linker fragment where the linker of the final binary finds it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=throughline.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut fragment = fs::read_to_string("throughline.x").expect("throughline.x is beside build.rs");
    let arm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    if arm && env::var_os("CARGO_FEATURE_BUILD_ID").is_some() {
        fragment += BUILD_ID_IN_FLASH;
    }
    fs::write(out.join("throughline.x"), fragment).expect("OUT_DIR can be written to");
    println!("cargo::rustc-link-search={}", out.display());
}

/// cortex-m-rt puts `.text` at a fixed place, right where the linker would put the note.
const BUILD_ID_IN_FLASH: &str = "
SECTIONS
{
  .note.gnu.build-id : { KEEP(*(.note.gnu.build-id)); } > FLASH
}
INSERT AFTER .rodata;
";
