//! Names the conditions that several files ask for, so that none is spelled out twice.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(registered_callsites)");
    println!("cargo::rustc-check-cfg=cfg(straight)");
    println!("cargo::rustc-check-cfg=cfg(short)");
    println!("cargo::rustc-check-cfg=cfg(exclusive)");
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
    // On a 32-bit microcontroller with a shared ring and a clock that is one load, a way without a call.
    if std::env::var_os("CARGO_FEATURE_STD").is_none()
        && width == "32"
        && std::env::var_os("CARGO_CFG_LOOM").is_none()
    {
        println!("cargo::rustc-cfg=short");
    }
    // Where counting zeros is an instruction, or (wasm and others) the compiler's business.
    println!("cargo::rustc-check-cfg=cfg(counts_zeros)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if !["thumbv6m", "thumbv8m.base", "riscv32"].iter().any(|it| target.starts_with(it)) {
        println!("cargo::rustc-cfg=counts_zeros");
    }
    // Cortex-M with exclusive accesses: all but Armv6-M, whose counterpart is a critical section.
    if target.starts_with("thumb") && !target.starts_with("thumbv6m") {
        println!("cargo::rustc-cfg=exclusive");
    }
}
