//! Puts the linker fragment where the linker of the final binary finds it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=throughline.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("throughline.x", out.join("throughline.x")).expect("throughline.x can be copied to OUT_DIR");
    println!("cargo::rustc-link-search={}", out.display());
}
