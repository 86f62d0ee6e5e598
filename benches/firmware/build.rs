//! Sets the memory layout of the board that QEMU emulates, and the linker's arguments.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FOOTPRINT_WITHOUT_FRAGMENT");
    println!("cargo::rustc-check-cfg=cfg(board_mps2)");
    let memory = match env::var("TARGET").unwrap_or_default().as_str() {
        "thumbv6m-none-eabi" => {
            "MEMORY { FLASH : ORIGIN = 0, LENGTH = 256K RAM : ORIGIN = 0x20000000, LENGTH = 16K }"
        }
        _ => {
            println!("cargo::rustc-cfg=board_mps2");
            "MEMORY { FLASH : ORIGIN = 0, LENGTH = 4M RAM : ORIGIN = 0x20000000, LENGTH = 4M }"
        }
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR can be written to");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Lets a test show that the fragment is an optimisation and not a requirement.
    if env::var_os("FOOTPRINT_WITHOUT_FRAGMENT").is_none() {
        println!("cargo::rustc-link-arg-bins=-Tthroughline.x");
        println!("cargo::rustc-link-arg-bins=--build-id");
    }
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo::rustc-link-arg-bin=ops_defmt=-Tdefmt.x");
    }
}
