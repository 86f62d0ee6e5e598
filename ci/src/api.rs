//! Lists the public items of each published crate and compares them with the committed listings, so that a
//! change of a public name or signature is always seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};
use public_api::Builder;

use crate::process::Cmd;
use crate::setup::{self, Need};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask api [--bless]

Lists the public items of every published crate with their signatures, a line each, and compares them with the listings in
core/docs/api. Hidden items are left out. What `throughline::adapter` holds is outside the promise that version numbers
make, so it has a listing of its own.

  --bless  write the listings instead of comparing
";

/// Folder of the listings, below the workspace's root.
const FOLDER: &str = "core/docs/api";

/// The published crates, each with the features whose items are listed. Those of OTLP add no items and
/// would build C code.
const CRATES: &[(&str, &[&str])] = &[
    ("throughline", &["--all-features"]),
    ("throughline-macros", &[]),
    ("throughline-embedded", &["--all-features"]),
    ("throughline-std", &["--features", "prometheus"]),
    ("throughline-export", &["--features", "prometheus"]),
    ("throughline-decode", &[]),
    ("throughline-profile", &[]),
];

/// The module that has its own listing, and the name of that listing.
const ADAPTER: (&str, &str) = ("throughline::adapter", "throughline-adapter");

/// Listings are made for one target, so that they are the same on every machine.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Traits that the compiler implements by itself and that tell users little; which ones it implements depends
/// on the compiler's version. Of these, only `Send` and `Sync` are listed.
const UNLISTED: &[&str] = &[
    "core::marker::Freeze",
    "core::marker::StructuralPartialEq",
    "core::marker::Unpin",
    "core::marker::UnsafeUnpin",
    "core::panic::unwind_safe::RefUnwindSafe",
    "core::panic::unwind_safe::UnwindSafe",
];

/// The public items of a crate or a module, one per line, in the order that is easiest to read.
#[derive(Debug, PartialEq, Eq)]
struct Listing {
    name: &'static str,
    lines: Vec<String>,
}

/// Runs `cargo xtask api`.
///
/// # Errors
///
/// Fails if a crate cannot be documented, or its items differ from the committed listing.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut bless = false;
    while let Some(arg) = args.next()? {
        match arg {
            Long("bless") => bless = true,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if bless { write() } else { check() }
}

/// Compares the public items with the committed listings.
///
/// # Errors
///
/// Like [`run`].
pub fn check() -> Result<()> {
    let mut changed = Vec::new();
    for listing in listings()? {
        let path = listing.path();
        // A missing listing differs in all of its lines.
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let difference = difference(&committed, &listing.lines);
        if !difference.is_empty() {
            println!("{FOLDER}/{}.txt:\n{difference}", listing.name);
            changed.push(listing.name);
        }
    }
    if !changed.is_empty() {
        bail!(
            "the public items of {} have changed; if that is intended, write the listings again with `cargo xtask api --bless`",
            changed.join(", ")
        );
    }
    Ok(())
}

fn write() -> Result<()> {
    for listing in listings()? {
        let path = listing.path();
        fs::create_dir_all(workspace::root().join(FOLDER))?;
        let text: String = listing.lines.iter().flat_map(|line| [line, "\n"]).collect();
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

impl Listing {
    fn path(&self) -> PathBuf {
        workspace::root().join(FOLDER).join(self.name).with_extension("txt")
    }
}

fn listings() -> Result<Vec<Listing>> {
    setup::ensure(&[Need::Target(TARGET)])?;
    let mut all = Vec::new();
    for (package, features) in CRATES {
        let lines = items(package, features)?;
        if *package == "throughline" {
            let (adapter, own) = lines.into_iter().partition(|line| is_below(line, ADAPTER.0));
            all.extend([Listing { name: package, lines: own }, Listing { name: ADAPTER.1, lines: adapter }]);
        } else {
            all.push(Listing { name: package, lines });
        }
    }
    Ok(all)
}

/// The public items of a package, from the JSON that rustdoc writes.
fn items(package: &str, features: &[&str]) -> Result<Vec<String>> {
    // Use the workspace's own Rust and not an installed nightly, because the JSON format and the spelling of
    // signatures depend on the version. The variable lets a stable rustdoc write JSON. Build scripts see it
    // too and may choose other code for it, so this needs its own build folder.
    let folder = workspace::target_dir().join("api");
    Cmd::cargo()
        .args(["rustdoc", "--quiet", "--lib", "-p", package, "--target", TARGET])
        .args(features.iter().copied())
        .args(["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &folder)
        .run()?;
    // Cargo always documents macros for the host.
    let docs =
        if package == "throughline-macros" { folder.join("doc") } else { folder.join(TARGET).join("doc") };
    let json = docs.join(package.replace('-', "_")).with_extension("json");
    let api = Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .build()
        .with_context(|| format!("cannot read {}", json.display()))?;
    let mut seen = BTreeSet::new();
    // An item that is exported twice under the same name is listed once.
    Ok(api
        .items()
        .map(ToString::to_string)
        .filter(|line| is_listed(line) && seen.insert(line.clone()))
        .collect())
}

/// Whether a line is listed: everything except the implementations of [`UNLISTED`] traits.
fn is_listed(line: &str) -> bool {
    let Some((what, _)) = line.split_once(" for ").filter(|_| line.starts_with("impl")) else { return true };
    let name = what.rsplit(' ').next().unwrap_or(what).trim_start_matches('!');
    !UNLISTED.contains(&name)
}

/// Whether the item that a line declares, or for which it implements something, is `module` or is in it.
fn is_below(line: &str, module: &str) -> bool {
    let subject = match line.split_once(" for ").filter(|_| line.starts_with("impl")) {
        Some((_, subject)) => subject,
        None => line,
    };
    // The first path of the crate in a declaration belongs to the declared item.
    let Some(start) = subject.find("throughline::") else { return false };
    subject[start..]
        .strip_prefix(module)
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

/// The removed and added lines, marked `-` and `+`, in alphabetical order; empty if there are none.
fn difference(committed: &str, current: &[String]) -> String {
    let before: BTreeSet<&str> = committed.lines().collect();
    let after: BTreeSet<&str> = current.iter().map(String::as_str).collect();
    let gone = before.difference(&after).map(|line| (*line, '-'));
    let come = after.difference(&before).map(|line| (*line, '+'));
    // Sort them together, so that the two forms of a changed signature are close to each other.
    let both: BTreeSet<(&str, char)> = gone.chain(come).collect();
    both.into_iter().map(|(line, sign)| format!("  {sign} {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_signature_shows_both_of_its_forms() {
        let committed = "pub fn a::one()\npub fn a::two()\npub fn a::six()\n";
        let current = ["pub fn a::one()", "pub fn a::two() -> u8", "pub fn a::six()"].map(String::from);
        assert_eq!(difference(committed, &current), "  - pub fn a::two()\n  + pub fn a::two() -> u8\n");
        assert_eq!(difference("pub fn a::one()\n", &current[..1]), "");
    }

    #[test]
    fn the_adapter_module_is_told_from_signatures_that_mention_it() {
        let below = |line| is_below(line, ADAPTER.0);
        assert!(below("pub mod throughline::adapter"));
        assert!(below("pub fn throughline::adapter::ring::take(&throughline::Level) -> u8"));
        assert!(below("impl core::clone::Clone for throughline::adapter::Record"));
        assert!(!below("pub fn throughline::Recorder::ring(&self) -> throughline::adapter::Ring"));
        assert!(!below("pub mod throughline::adapters"));
    }

    #[test]
    fn threads_may_share_it_is_listed_and_what_the_compiler_adds_besides_is_not() {
        assert!(is_listed("impl core::marker::Send for a::B"));
        assert!(is_listed("impl<'a> !core::marker::Sync for a::B<'a>"));
        assert!(is_listed("impl core::marker::Copy for a::B"));
        assert!(is_listed("pub fn a::wait_for(core::marker::PhantomData<u8>)"));
        assert!(!is_listed("impl core::marker::Unpin for a::B"));
        assert!(!is_listed("impl !core::panic::unwind_safe::UnwindSafe for a::B"));
    }

    #[test]
    fn every_published_crate_is_listed() {
        let publishes = |folder: &str| {
            let manifest = fs::read_to_string(workspace::root().join(folder).join("Cargo.toml")).unwrap();
            let name = manifest
                .lines()
                .find_map(|line| line.strip_prefix("name = "))
                .unwrap()
                .trim_matches('"')
                .to_owned();
            (!manifest.contains("publish = false")).then_some(name)
        };
        let folders = [
            "core",
            "core/macros",
            "embedded-adapter",
            "std-adapter",
            "std-adapter/export",
            "std-adapter/decode",
            "std-adapter/profile",
        ];
        let listed: BTreeSet<String> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(folders.into_iter().filter_map(publishes).collect::<BTreeSet<_>>(), listed);
    }
}
