//! Has the tests export what profilers outside of the process look for. A program's own build.rs does the same for it; the
//! README has the line.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if is_set("CARGO_FEATURE_THREAD_CONTEXT") && os == "linux" {
        println!("cargo::rustc-link-arg-tests=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1");
    }
}
