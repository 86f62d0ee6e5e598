//! Puts the linker scripts of this crate where the linker of the final binary finds them.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=throughline.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let fragment = fs::read_to_string("throughline.x").expect("throughline.x is beside build.rs");
    // cortex-m-rt and riscv-rt give the memory region of constants different names.
    let flash = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("riscv32" | "riscv64") => "REGION_RODATA",
        _ => "FLASH",
    };
    fs::write(out.join("throughline.x"), fragment + &build_id_in(flash)).expect("OUT_DIR can be written to");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=throughline-rtt.x");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        // A linker reads a library that is plain text as a linker script. Cargo passes a library on to the
        // final binary, unlike a linker argument.
        fs::copy("throughline-rtt.x", out.join("libthroughline_rtt.a")).expect("OUT_DIR can be written to");
        println!("cargo::rustc-link-lib=dylib=throughline_rtt");
    }
}

/// Places the build-id note after `.rodata`. By default the linker puts it where the code begins, which the
/// runtimes reserve for `.text`.
fn build_id_in(flash: &str) -> String {
    format!(
        "
SECTIONS
{{
  .note.gnu.build-id : ALIGN(4) {{ KEEP(*(.note.gnu.build-id)); }} > {flash}
}}
INSERT AFTER .rodata;
"
    )
}
