//! Compiles the consumer crate, which expands every macro, under combinations of its features, and runs it under
//! none, each and all of them.
//!
//! A macro body that does not compile is only found where it is expanded, and a feature must work together
//! with every other one. So `cargo xtask consumer` tries every subset, `cargo xtask test --only combinations` enough of them that
//! any three features are tried in each of their eight settings of on and off, and the everyday suite none and all.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};
use serde_json::Value;

use crate::process::{Cmd, timed};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask consumer [--list]

Compiles the package `consumer` under every combination of the features in ci/consumer/Cargo.toml, with warnings as
errors, and runs its tests under none of them, each by itself, and all.

  --list  print the combinations, build nothing
";

const PACKAGE: &str = "consumer";

/// With more features, the power set costs more than it finds; the error says so instead of running for an
/// hour.
const MOST_FEATURES: usize = 8;

/// Runs `cargo xtask consumer`.
///
/// # Errors
///
/// Fails if a combination doesn't build, warns, or fails when run.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut list = false;
    while let Some(arg) = args.next()? {
        match arg {
            Long("list") => list = true,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let consumer = Consumer::find()?;
    let combinations = consumer.combinations()?;
    if !list {
        return try_all(&consumer, &combinations);
    }
    for combination in combinations {
        println!("{}", label(&combination));
    }
    Ok(())
}

/// Tests none of the features, and all of them.
///
/// # Errors
///
/// Like [`run`].
pub fn check_ends() -> Result<()> {
    let consumer = Consumer::find()?;
    let mut combinations = consumer.combinations()?;
    combinations.retain(|combination| combination.is_empty() || *combination == consumer.features);
    try_all(&consumer, &combinations)
}

/// Builds none, each and all of the features, and enough combinations to cover any three.
///
/// # Errors
///
/// Like [`run`].
pub fn check_threes() -> Result<()> {
    let consumer = Consumer::find()?;
    let combinations = consumer.combinations()?;
    try_all(&consumer, &covering(&combinations, &consumer.features))
}

fn try_all(consumer: &Consumer, combinations: &[Vec<String>]) -> Result<()> {
    let total = combinations.len();
    let mut failed: Vec<String> = Vec::new();
    for (index, combination) in combinations.iter().enumerate() {
        let label = label(combination);
        let command = consumer.command(combination);
        if let Err(error) = timed(&format!("{}/{total} {label}", index + 1), || command.run()) {
            eprintln!("error: {error:#}");
            failed.push(label);
        }
    }
    // Try every combination, because the set of failures shows which feature is at fault.
    if !failed.is_empty() {
        bail!("{} of {total} combinations failed: {}", failed.len(), failed.join("; "));
    }
    Ok(())
}

/// Every subset of `items`, smaller ones first, each in the order of `items`.
#[must_use]
pub fn power_set<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let mut subsets = vec![Vec::new()];
    for item in items {
        for index in 0..subsets.len() {
            let mut with = subsets[index].clone();
            with.push(item.clone());
            subsets.push(with);
        }
    }
    subsets.sort_by_key(Vec::len);
    subsets
}

/// Of `subsets`, which are all subsets of `items`: the empty one, those of one item, the whole, and as many others
/// as it takes that for any three items each of their eight settings of in and out occurs.
fn covering<T: Clone + PartialEq>(subsets: &[Vec<T>], items: &[T]) -> Vec<Vec<T>> {
    // What a subset covers: three items, by their indices, and which of them are in it.
    let covered = |subset: &Vec<T>| {
        let is_in: Vec<bool> = items.iter().map(|item| subset.contains(item)).collect();
        let mut threes = BTreeSet::new();
        for a in 0..items.len() {
            for b in 0..a {
                for c in 0..b {
                    threes.insert(([a, b, c], [is_in[a], is_in[b], is_in[c]]));
                }
            }
        }
        threes
    };
    let is_run = |subset: &&Vec<T>| subset.len() <= 1 || subset.len() == items.len();
    let mut chosen: Vec<Vec<T>> = subsets.iter().filter(is_run).cloned().collect();
    let mut open: BTreeSet<_> = subsets.iter().flat_map(covered).collect();
    chosen.iter().flat_map(covered).for_each(|three| _ = open.remove(&three));
    // Take the subset that covers most of what is open. It need not be the shortest list, only a short one.
    while let Some(best) =
        subsets.iter().max_by_key(|it| covered(it).intersection(&open).count()).filter(|_| !open.is_empty())
    {
        covered(best).iter().for_each(|three| _ = open.remove(three));
        chosen.push(best.clone());
    }
    chosen
}

/// The consumer according to `cargo metadata`.
#[derive(Debug, PartialEq, Eq)]
struct Consumer {
    /// All features except `default`, which is only a name for a combination.
    features: Vec<String>,
    is_program: bool,
}

impl Consumer {
    fn find() -> Result<Self> {
        Self::parse(&Cmd::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(metadata).context("`cargo metadata` wrote no JSON")?;
        let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
        let package = packages.iter().find(|package| package["name"] == PACKAGE);
        let package = package.with_context(|| format!("no package `{PACKAGE}` in the workspace"))?;
        let features: BTreeMap<String, Value> = serde_json::from_value(package["features"].clone())?;
        let mut targets = package["targets"].as_array().into_iter().flatten();
        Ok(Self {
            features: features.into_keys().filter(|name| name != "default").collect(),
            is_program: targets.any(|target| target["kind"][0] == "bin"),
        })
    }

    fn combinations(&self) -> Result<Vec<Vec<String>>> {
        let count = self.features.len();
        if count > MOST_FEATURES {
            bail!(
                "{count} features make {} combinations: let some of ci/consumer/Cargo.toml imply each other",
                1_u64 << count
            );
        }
        Ok(power_set(&self.features))
    }

    /// Whether the tests run under a combination, and not only the compiler.
    fn is_run(&self, combination: &[String]) -> bool {
        combination.len() <= 1 || combination.len() == self.features.len()
    }

    fn command(&self, combination: &[String]) -> Cmd {
        // Every macro is expanded in the library under each combination. The tests only depend on each
        // feature alone and on all of them together, so only those run: running all would take ten times as
        // long.
        let verb: &[&str] = match (self.is_run(combination), self.is_program) {
            (false, _) => &["check"],
            (true, true) => &["run"],
            (true, false) => &["test"],
        };
        let mut cmd =
            Cmd::cargo().args(verb.iter().copied()).args(["--quiet", "-p", PACKAGE, "--no-default-features"]);
        if !combination.is_empty() {
            cmd = cmd.arg("--features").arg(combination.join(","));
        }
        // Use a separate build folder, because other flags in the shared one would rebuild everything there
        // twice.
        cmd.env("RUSTFLAGS", "-D warnings").env("CARGO_TARGET_DIR", workspace::target_dir().join(PACKAGE))
    }
}

fn label(combination: &[String]) -> String {
    if combination.is_empty() { "no features".into() } else { combination.join(" + ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_set_has_every_subset_once_smallest_first() {
        assert_eq!(power_set::<u8>(&[]), [Vec::<u8>::new()]);
        let subsets = power_set(&["a", "b", "c"]);
        let expected: [&[&str]; 8] =
            [&[], &["a"], &["b"], &["c"], &["a", "b"], &["a", "c"], &["b", "c"], &["a", "b", "c"]];
        assert_eq!(subsets, expected);
    }

    #[test]
    fn the_everyday_combinations_cover_any_three_features_and_are_few() {
        let items = ["a", "b", "c", "d", "e", "f"];
        let chosen = covering(&power_set(&items), &items);
        for three in power_set(&items).iter().filter(|it| it.len() == 3) {
            let settings: BTreeSet<Vec<bool>> = chosen
                .iter()
                .map(|subset| three.iter().map(|item| subset.contains(item)).collect())
                .collect();
            assert_eq!(settings.len(), 8, "{three:?}: {settings:?}");
        }
        assert!(items.iter().all(|item| chosen.contains(&vec![*item])));
        assert!(chosen.contains(&Vec::new()) && chosen.contains(&items.to_vec()));
        assert!(chosen.len() <= 20, "{}", chosen.len());
    }

    #[test]
    fn features_come_from_the_right_package_without_default() {
        let metadata = r#"{"packages": [
            {"name": "other", "features": {"x": []}},
            {
                "name": "consumer",
                "features": {"std": ["throughline/std"], "default": ["std"], "defmt": []},
                "targets": [{"kind": ["lib"]}, {"kind": ["bin"]}]
            }
        ]}"#;
        let expected = Consumer { features: vec!["defmt".into(), "std".into()], is_program: true };
        assert_eq!(Consumer::parse(metadata).unwrap(), expected);
        assert!(Consumer::parse(r#"{"packages": []}"#).unwrap_err().to_string().contains("`consumer`"));
    }

    #[test]
    fn a_combination_becomes_one_command() {
        let consumer =
            |is_program| Consumer { features: ["a", "b", "c"].map(String::from).into(), is_program };
        let shown = consumer(true).command(&["a".into(), "b".into(), "c".into()]).to_string();
        assert!(
            shown.ends_with("cargo run --quiet -p consumer --no-default-features --features a,b,c"),
            "{shown}"
        );
        let shown = consumer(false).command(&["a".into(), "b".into()]).to_string();
        assert!(
            shown.ends_with("cargo check --quiet -p consumer --no-default-features --features a,b"),
            "{shown}"
        );
        let shown = consumer(false).command(&[]).to_string();
        assert!(shown.ends_with("cargo test --quiet -p consumer --no-default-features"), "{shown}");
    }

    #[test]
    fn too_many_features_are_refused() {
        let features = (0..=MOST_FEATURES).map(|it| it.to_string()).collect();
        let error = Consumer { features, is_program: true }.combinations().unwrap_err().to_string();
        assert!(error.contains("9 features make 512"), "{error}");
    }
}
