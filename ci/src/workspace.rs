//! Locations: the workspace's root, its build folder, and the cache of foreign programs.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root folder.
///
/// It is fixed when `xtask` is compiled, so that a subcommand works in any folder of the repository.
#[must_use]
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("the package `xtask` is a folder below the workspace's root")
}

/// Cargo's build folder: `$CARGO_TARGET_DIR`, or `target` below the root.
#[must_use]
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

/// The cache of programs built from other projects' sources.
///
/// It is always below the root's `target`, whatever `CARGO_TARGET_DIR` says: these programs take minutes to
/// build and do not depend on Rust, so all build folders share them.
#[must_use]
pub fn partners_dir() -> PathBuf {
    root().join("target").join("partners")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_holds_the_workspace_manifest() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
