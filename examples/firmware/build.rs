//! Passes the board's memory, the layout of the start-up code and throughline's linker script to the linker.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rustc-check-cfg=cfg(microbit)");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = env::var("TARGET").expect("cargo sets TARGET");
    // Each target has one board.
    let board = if target.starts_with("thumbv6m") { "microbit" } else { "mps2-an386" };
    if board == "microbit" {
        println!("cargo::rustc-cfg=microbit");
    }
    std::fs::copy(format!("memory/{board}.x"), out.join("memory.x")).expect("the build folder is writable");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    if env::var_os("CARGO_FEATURE_FRAGMENT").is_some() {
        println!("cargo::rustc-link-arg-bins=-Tthroughline.x");
        println!("cargo::rustc-link-arg-bins=--build-id");
    }
}
