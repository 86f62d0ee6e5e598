//! Names the conditions that several files ask for, so that none is spelled out twice.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(registered_callsites)");
    println!("cargo::rustc-check-cfg=cfg(straight)");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let width = std::env::var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();
    // With an operating system, or with 64-bit words (whose record layout has 16 bits for a callsite), callsites register
    // themselves on first use; on a 32-bit microcontroller a callsite is an address and costs no RAM.
    if os != "none" || width == "64" {
        println!("cargo::rustc-cfg=registered_callsites");
    }
    // Where a thread of a server has a ring of its own and a clock that is one instruction, spans and events go a straight way.
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let clocked = ["x86_64", "aarch64"].contains(&arch.as_str());
    if std::env::var_os("CARGO_FEATURE_STD").is_some() && clocked && width == "64" {
        println!("cargo::rustc-cfg=straight");
    }
}
