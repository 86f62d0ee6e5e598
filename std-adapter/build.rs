//! Sets a cfg flag where processes can be profiled, and has the tests export what profilers outside of the process look for. A
//! program's own build.rs does the latter for it; the README has the line.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(profiled)");
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let is = |key: &str, any: &[&str]| {
        let value = std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
        any.contains(&value.as_str())
    };
    let is_linux = is("OS", &["linux"]);
    // The same systems as those of throughline-profile.
    let is_sampled = is_linux && is("ARCH", &["x86_64", "aarch64"]) && is("POINTER_WIDTH", &["64"]);
    if is_set("CARGO_FEATURE_PROFILE") && is_sampled {
        println!("cargo::rustc-cfg=profiled");
    }
    if is_set("CARGO_FEATURE_THREAD_CONTEXT") && is_linux {
        println!("cargo::rustc-link-arg-tests=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1");
    }
}
