//! Sets a cfg flag for the systems whose programs can be sampled, so that the condition is written only once.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(sampled)");
    let is = |key: &str, any: &[&str]| {
        let value = std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
        any.contains(&value.as_str())
    };
    if is("OS", &["linux"]) && is("ARCH", &["x86_64", "aarch64"]) && is("POINTER_WIDTH", &["64"]) {
        println!("cargo::rustc-cfg=sampled");
    }
}
