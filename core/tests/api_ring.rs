//! What a program types is at the root of the crate and names nothing of what adapters use. Reads the committed listing of public
//! items, which `cargo xtask api` compares with the code.

#![cfg(not(miri))]

use std::collections::BTreeSet;

const LISTING: &str = include_str!("../docs/api/throughline.txt");

#[test]
fn the_root_shows_no_type_of_the_adapters() {
    let shown: Vec<_> = LISTING.lines().filter(|line| line.contains("::adapter::")).collect();
    assert!(shown.is_empty(), "hide these, or move them to `adapter`: {shown:#?}");
}

#[test]
fn a_program_needs_few_names() {
    let kinds = ["struct", "enum", "trait", "fn", "mod", "use"];
    let names: BTreeSet<_> = LISTING
        .lines()
        .filter_map(|line| {
            let item = line.rsplit_once("] ").map_or(line, |(_, item)| item).strip_prefix("pub ")?;
            let (kind, rest) = item.split_once(' ')?;
            let path = rest.split(['<', '(', ':']).next()?;
            let name = rest.strip_prefix("throughline::")?.split(['<', '(', ' ', ':']).next()?;
            let is_root =
                path == "throughline" && !rest["throughline::".len() + name.len()..].starts_with("::");
            (kinds.contains(&kind) && is_root).then_some(name)
        })
        .collect();
    assert!((25..=35).contains(&names.len()), "{}: {names:?}", names.len());
}
