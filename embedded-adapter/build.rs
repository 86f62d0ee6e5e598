//! Puts the linker fragment where the linker of the final binary finds it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=throughline.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let fragment = fs::read_to_string("throughline.x").expect("throughline.x is beside build.rs");
    // What the chip's runtime calls the memory of its constants: cortex-m-rt, riscv-rt.
    let flash = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("riscv32" | "riscv64") => "REGION_RODATA",
        _ => "FLASH",
    };
    fs::write(out.join("throughline.x"), fragment + &build_id_in(flash)).expect("OUT_DIR can be written to");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=throughline-rtt.x");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        // Linkers take a library that is a text for a linker script. Unlike a linker argument, a library is passed on to the final binary.
        fs::copy("throughline-rtt.x", out.join("libthroughline_rtt.a")).expect("OUT_DIR can be written to");
        println!("cargo::rustc-link-lib=dylib=throughline_rtt");
    }
}

/// The linker would put the note where the code begins, a place that the runtimes keep for `.text`.
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
