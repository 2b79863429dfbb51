//! The rules of the house that a machine can check.
//!
//! - A folder of `storage` or `engine` imports only from its own floor or lower ones, by the table
//!   in the header of the crate's `lib.rs`; folders of one floor do not import each other in a
//!   circle.
//! - `unsafe` stands only in `pool`, `mvcc`, `block` and `index` of storage.
//! - No file is above 600 lines.

use remora_tests::source::{code_lines, files, read, root, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const LINES_MAX: usize = 600;
const UNSAFE_FOLDERS: [&str; 4] = ["pool", "mvcc", "block", "index"];

/// A crate's modules: floor of each, and which module a name re-exported at the root is from.
struct Floors {
    floor: BTreeMap<String, u32>,
    origin: BTreeMap<String, String>,
}

/// One import: where it stands, and from which module to which.
#[derive(Debug)]
#[allow(dead_code, reason = "the place is read by whoever reads the failure")]
struct Import {
    place: String,
    from: String,
    to: String,
}

impl Floors {
    /// Reads the table and the re-exports of a `lib.rs`.
    fn read(lib: &str) -> Self {
        let mut floor = BTreeMap::new();
        let mut origin = BTreeMap::new();
        for line in lib.lines() {
            let comment = line.trim_start_matches('/').trim_start_matches('!');
            let mut words = comment.split_whitespace();
            if line.starts_with("//")
                && comment.starts_with("  ")
                && let Some(Ok(number)) = words.next().map(str::parse)
            {
                for name in words {
                    floor.insert(name.to_owned(), number);
                }
            }
        }
        for export in lib.split("pub use ").skip(1) {
            let export = &export[..export.find(';').unwrap_or(export.len())];
            let Some((module, names)) = export.split_once("::") else {
                continue;
            };
            for name in names.split(|c: char| !c.is_alphanumeric() && c != '_') {
                origin.insert(name.to_owned(), module.to_owned());
            }
        }
        Self { floor, origin }
    }

    /// The module that `crate::name` leads to.
    fn resolve(&self, name: &str) -> Option<&str> {
        match self.floor.get_key_value(name) {
            Some((module, _)) => Some(module),
            None => self.origin.get(name).map(String::as_str),
        }
    }
}

/// The path of modules that a file is, e.g. `[block, hot]` for `src/block/hot.rs`.
fn module_path(source: &Path, file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source).expect("the file was found below");
    let mut path: Vec<String> = relative
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// The first names of the paths in a line that lead to the crate's root: `crate::{a, b::c}` and,
/// as far up as the file is deep, `super::super::a`.
fn names_at_root(line: &str, depth: usize) -> Vec<&str> {
    let supers = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in ["crate::", supers.as_str()] {
        for (at, _) in line.match_indices(prefix) {
            let longer = line[..at].ends_with("::") || line[..at].ends_with('$');
            let rest = &line[at + prefix.len()..];
            if longer || rest.starts_with("super::") {
                continue;
            }
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group)),
                None => found.extend(head(rest)),
            }
        }
    }
    found
}

fn head(path: &str) -> Option<&str> {
    let end = path
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(path.len());
    (end > 0).then_some(&path[..end])
}

/// The first names of the members of a `{..}` whose opening brace is gone.
fn group_heads(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.extend(head(group[start..at].trim()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(head(group[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

/// All imports between the modules of a crate, tests aside.
fn imports(name: &str) -> (Floors, Vec<Import>) {
    let source = root().join(name).join("src");
    let floors = Floors::read(&read(&source.join("lib.rs")));
    assert!(
        floors.floor.len() > 3,
        "{name}/src/lib.rs has lost its table of floors"
    );
    let mut imports = Vec::new();
    for file in files(&source, "rs") {
        let path = module_path(&source, &file);
        if path == ["lib"] || path.iter().any(|part| part == "tests") {
            continue;
        }
        assert!(
            floors.floor.contains_key(&path[0]),
            "{} is on no floor: add `{}` to the table in {name}/src/lib.rs",
            file.display(),
            path[0]
        );
        let text = read(&file);
        // Groups may span lines: join each `use` into one.
        let code: Vec<(usize, &str)> = code_lines(&text).collect();
        for (index, (number, line)) in code.iter().enumerate() {
            let mut whole = (*line).to_owned();
            if line.trim_end().ends_with('{') && line.contains("use ") {
                whole.extend(
                    code[index + 1..]
                        .iter()
                        .map(|(_, next)| next.trim())
                        .take(60),
                );
                let end = whole.find(';').unwrap_or(whole.len());
                whole.truncate(end);
            }
            for target in names_at_root(&whole, path.len()) {
                if let Some(to) = floors.resolve(target)
                    && to != path[0]
                {
                    imports.push(Import {
                        place: format!("{name}/src/{}:{number}", path.join("/")),
                        from: path[0].clone(),
                        to: to.to_owned(),
                    });
                }
            }
        }
    }
    (floors, imports)
}

#[test]
fn no_import_leads_upward() {
    for name in ["storage", "engine"] {
        let (floors, imports) = imports(name);
        let upward: Vec<&Import> = imports
            .iter()
            .filter(|import| floors.floor[&import.to] > floors.floor[&import.from])
            .collect();
        assert!(
            upward.is_empty(),
            "imports from a higher floor: {upward:#?}"
        );
    }
}

#[test]
fn folders_of_one_floor_do_not_import_in_a_circle() {
    for name in ["storage", "engine"] {
        let (_, imports) = imports(name);
        let edges: BTreeSet<(&str, &str)> = imports
            .iter()
            .map(|i| (i.from.as_str(), i.to.as_str()))
            .collect();
        // Take away, again and again, the modules that import nothing that is left.
        let mut left: BTreeSet<&str> = edges.iter().flat_map(|(a, b)| [*a, *b]).collect();
        while let Some(leaf) = left.iter().copied().find(|a| {
            !edges
                .iter()
                .any(|(from, to)| from == a && left.contains(to))
        }) {
            left.remove(leaf);
        }
        let circle: Vec<&Import> = imports
            .iter()
            .filter(|i| left.contains(i.from.as_str()) && left.contains(i.to.as_str()))
            .collect();
        assert!(
            circle.is_empty(),
            "modules of {name} import each other: {circle:#?}"
        );
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let allowed = UNSAFE_FOLDERS.map(|folder| root().join("storage/src").join(folder));
    for (path, text) in rust_files() {
        if allowed.iter().any(|folder| path.starts_with(folder)) || path.ends_with("floors.rs") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            let found = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe");
            assert!(
                !found,
                "{}:{number}: unsafe has no place here",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_is_two_concepts() {
    let long: Vec<String> = rust_files()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "files above {LINES_MAX} lines: {long:#?}");
}

#[test]
fn an_upward_import_would_be_seen() {
    let floors = Floors::read("//!  0  ids error\n//!  1  pool\npub use pool::{Ledger};\n");
    let seen = |line: &str, depth| -> Vec<String> {
        names_at_root(line, depth)
            .into_iter()
            .filter_map(|name| floors.resolve(name))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(seen("use crate::pool::Slab;", 1), ["pool"]);
    assert_eq!(
        seen("use crate::{error::{A, B}, Ledger};", 1),
        ["error", "pool"]
    );
    assert_eq!(seen("use super::pool::Slab;", 1), ["pool"]);
    assert_eq!(seen("use super::super::pool::Slab;", 2), ["pool"]);
    assert!(seen("use super::pool::Slab;", 2).is_empty());
    assert!(seen("pub(crate) use arrow::pool;", 1).is_empty());
}
