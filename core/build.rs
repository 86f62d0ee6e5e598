//! Names the two ways a callsite gets its id, so that no condition is spelled out twice.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(registered_callsites)");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let width = std::env::var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();
    // With an operating system, or with 64-bit words (whose record layout has 16 bits for a callsite), callsites register
    // themselves on first use; on a 32-bit microcontroller a callsite is an address and costs no RAM.
    if os != "none" || width == "64" {
        println!("cargo::rustc-cfg=registered_callsites");
    }
}
