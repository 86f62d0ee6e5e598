//! The modules of this crate import each other without cycles. The test reads the sources, so that it finds a
//! new cycle before a reader of the code does.
#![cfg(not(any(miri, loom)))]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn top_level_modules_import_each_other_without_circles() {
    let root = code(&Path::new(SOURCES).join("lib.rs"));
    let reexports = reexports(&root);
    let mut graph = Graph::new();
    for file in sources(Path::new(SOURCES)) {
        let path = file.strip_prefix(SOURCES).unwrap().with_extension("");
        let module = path.iter().next().unwrap().to_str().unwrap().to_owned();
        if module == "lib" {
            continue;
        }
        let imported = after(&code(&file), "crate::").into_iter();
        let modules = imported.map(|name| reexports.get(&name).cloned().unwrap_or(name));
        graph.entry(module.clone()).or_default().extend(modules.filter(|it| *it != module));
    }
    assert!(graph["recorder"].contains("ring"), "imports were not found: {graph:?}");
    assert_no_circle(graph);
}

#[test]
fn the_modules_of_the_ring_import_each_other_without_circles() {
    let mut graph = Graph::new();
    for file in sources(&Path::new(SOURCES).join("ring")) {
        let module = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if module != "mod" {
            graph.insert(module, after(&code(&file), "super::").into_iter().collect());
        }
    }
    assert_no_circle(graph);
}

/// Removes modules that import none of the remaining ones, until none is left. Modules that stay are in a
/// cycle, or import one that is.
fn assert_no_circle(mut graph: Graph) {
    loop {
        let modules: BTreeSet<String> = graph.keys().cloned().collect();
        graph.values_mut().for_each(|imports| imports.retain(|it| modules.contains(it)));
        graph.retain(|_, imports| !imports.is_empty());
        if graph.len() == modules.len() {
            break;
        }
    }
    assert!(
        graph.is_empty(),
        "these modules import each other in a circle, or import one that does: {graph:#?}"
    );
}

/// The source without comments.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files
}

/// The first name of every path that begins with `prefix`, including those in braces. Names in a macro of
/// this crate (`$crate::`) belong to the macro's caller.
fn after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|it| it == '$' || it == ':' || it == '_' || it.is_alphanumeric()) {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(members(group).into_iter().map(|it| first_name(&it))),
            None => names.push(first_name(rest)),
        }
    }
    names
}

/// The members of a group of imports, up to its closing brace.
fn members(group: &str) -> Vec<String> {
    let mut members = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ => {}
        }
        if c != ',' || depth > 0 {
            members.last_mut().unwrap().push(c);
        }
    }
    members
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
}

/// The module behind each name at the crate's root: `Level` comes from `level`.
fn reexports(root: &str) -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for (at, _) in root.match_indices("pub use ") {
        let rest = root[at + "pub use ".len()..].trim_start();
        let items = match rest.strip_prefix('{') {
            Some(group) => members(group),
            None => vec![rest.split(';').next().unwrap().to_owned()],
        };
        for item in items {
            if let Some((module, names)) = item.trim().split_once("::") {
                let names = names.trim_start_matches('{').trim_end_matches('}').split(',');
                modules.extend(names.map(|it| (it.trim().to_owned(), module.to_owned())));
            }
        }
    }
    modules
}
