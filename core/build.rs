//! Sets cfg flags for conditions that several files test, so that each condition is written only once.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(registered_callsites)");
    println!("cargo::rustc-check-cfg=cfg(straight)");
    println!("cargo::rustc-check-cfg=cfg(short)");
    println!("cargo::rustc-check-cfg=cfg(exclusive)");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let width = std::env::var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();
    // With an operating system, or with 64-bit words (whose record layout has 16 bits for a callsite),
    // callsites register on first use. On a 32-bit microcontroller a callsite is an address and costs no RAM.
    if os != "none" || width == "64" {
        println!("cargo::rustc-cfg=registered_callsites");
    }
    // If a thread has its own ring and a clock that is read by one instruction, spans and events can take the
    // straight path.
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let clocked = ["x86_64", "aarch64"].contains(&arch.as_str());
    if std::env::var_os("CARGO_FEATURE_STD").is_some() && clocked && width == "64" {
        println!("cargo::rustc-cfg=straight");
    }
    // On a 32-bit microcontroller with a shared ring and a clock that is read by one load, spans and events
    // can take the short path, which calls no function.
    if std::env::var_os("CARGO_FEATURE_STD").is_none()
        && width == "32"
        && std::env::var_os("CARGO_CFG_LOOM").is_none()
    {
        println!("cargo::rustc-cfg=short");
    }
    // Set if the processor counts leading zeros with one instruction, and for targets such as wasm where that
    // is the compiler's concern.
    println!("cargo::rustc-check-cfg=cfg(counts_zeros)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if !["thumbv6m", "thumbv8m.base", "riscv32"].iter().any(|it| target.starts_with(it)) {
        println!("cargo::rustc-cfg=counts_zeros");
    }
    // Cortex-M with exclusive accesses: all except Armv6-M, which uses a critical section instead.
    if target.starts_with("thumb") && !target.starts_with("thumbv6m") {
        println!("cargo::rustc-cfg=exclusive");
    }
}
