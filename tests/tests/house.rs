//! The house as it is: numbers that may only shrink, in `tests/house.txt`.
//!
//! - `prose CRATE`: comments that begin with a pronoun, where a reader looks for the thing.
//! - `circle FOLDER`: files and folders of a folder that import each other in a circle.
//! - `files FOLDER`: files of a folder that has more than twenty.
//! - `stems CRATE`: names that several files of a crate have.
//!
//! The walks of two statements that `docs/architecture.md` tells may not get longer either.
//!
//! Where a number has become smaller, `UPDATE_HOUSE=1 cargo test -p remora-tests --test house` writes it down; a greater one
//! it does not.

use remora_tests::source::{code_lines, files, read, root};
use remora_tests::walks::told;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 2] = ["storage", "engine"];
const FILES_MAX: usize = 20;
const PRONOUNS: [&str; 5] = ["The same", "What", "Who", "Whoever", "Somebody"];

type Numbers = BTreeMap<String, usize>;

/// The path of modules that a file is.
fn module(source: &Path, file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source).expect("it lies there");
    let parts = relative.with_extension("");
    let mut parts: Vec<String> = parts
        .iter()
        .map(|part| part.to_string_lossy().into())
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// The sources of a crate without its tests, and what they are.
fn modules(name: &str) -> Vec<(Vec<String>, PathBuf)> {
    let source = root().join(name).join("src");
    let all = files(&source, "rs").into_iter();
    let all = all.map(|file| (module(&source, &file), file));
    let is_test = |part: &String| part.ends_with("tests") || part.ends_with("models");
    all.filter(|(module, _)| !module.iter().any(is_test))
        .collect()
}

/// The paths that a tree of `use` names, e.g. `a::b` and `a::c` of `a::{b, c}`; what follows the tree is left alone.
fn paths(tree: &str) -> Vec<Vec<String>> {
    fn branch<'t>(mut rest: &'t str, path: &[String], found: &mut Vec<Vec<String>>) -> &'t str {
        let mut path = path.to_vec();
        loop {
            rest = rest.trim_start();
            if let Some(group) = rest.strip_prefix('{') {
                rest = group;
                while !rest.trim_start().starts_with('}') && !rest.trim().is_empty() {
                    rest = branch(rest, &path, found).trim_start();
                    rest = rest.strip_prefix(',').unwrap_or(rest);
                    if !rest
                        .trim_start()
                        .starts_with(|c: char| c.is_alphanumeric() || "_{}*".contains(c))
                    {
                        return rest;
                    }
                }
                return rest.trim_start().strip_prefix('}').unwrap_or(rest);
            }
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            if end > 0 {
                path.push(rest[..end].to_owned());
            }
            rest = &rest[end..];
            match rest.strip_prefix("::") {
                Some(more) => rest = more,
                None => {
                    found.push(path);
                    return rest;
                }
            }
        }
    }
    let mut found = Vec::new();
    branch(tree, &[], &mut found);
    found
}

/// All that a source names by a path from the crate's root or from where it stands, from the root on.
fn imports(own: &[String], text: &str) -> Vec<Vec<String>> {
    let code: Vec<&str> = code_lines(text).map(|(_, line)| line.trim()).collect();
    let code = code.join(" ");
    let is_start = |at: usize| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    };
    let starts = ["crate::", "super::"]
        .into_iter()
        .flat_map(|word| code.match_indices(word));
    let starts = starts.filter(|(at, _)| is_start(*at));
    let named = starts.flat_map(|(at, _)| paths(&code[at..]));
    named
        .map(|path| {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let base = match path.first() {
                Some(first) if first == "crate" => &[],
                _ => &own[..own.len().saturating_sub(ups)],
            };
            let rest = path
                .iter()
                .skip_while(|part| ["super", "crate"].contains(&part.as_str()));
            base.iter().chain(rest).cloned().collect()
        })
        .collect()
}

/// From which child of a folder each name is that its `mod.rs` makes known.
fn origins(text: &str) -> BTreeMap<String, String> {
    let code: Vec<&str> = code_lines(text).map(|(_, line)| line.trim()).collect();
    let code = code.join(" ");
    let trees = code.split("use ").skip(1).flat_map(paths);
    let named = trees.filter_map(|path| Some((path.last()?.clone(), path.first()?.clone())));
    named.collect()
}

/// How many children of each folder import each other in a circle.
fn circles(name: &str, numbers: &mut Numbers) {
    let modules = modules(name);
    let texts: Vec<(&Vec<String>, String)> = modules
        .iter()
        .map(|(module, file)| (module, read(file)))
        .collect();
    let folders: BTreeSet<&[String]> = modules
        .iter()
        .filter_map(|(module, _)| Some(module.split_last()?.1))
        .collect();
    for folder in folders {
        let depth = folder.len();
        let inside = || {
            texts
                .iter()
                .filter(|(module, _)| module.starts_with(folder))
        };
        let children: BTreeSet<&str> = inside()
            .filter_map(|(module, _)| Some(module.get(depth)?.as_str()))
            .collect();
        let own = texts.iter().find(|(module, _)| module.as_slice() == folder);
        let origins = own.map(|(_, text)| origins(text)).unwrap_or_default();
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (module, text) in inside() {
            let Some(from) = module.get(depth) else {
                continue;
            };
            for path in imports(module, text) {
                let Some(head) = path.get(depth).filter(|_| path.starts_with(folder)) else {
                    continue;
                };
                let origin = origins.get(head).unwrap_or(head);
                if let Some(to) = children
                    .get(origin.as_str())
                    .filter(|to| **to != from.as_str())
                {
                    edges.entry(from).or_default().insert(to);
                }
            }
        }
        let reached = |from: &str| -> BTreeSet<&str> {
            let mut found = BTreeSet::new();
            let mut next: Vec<&str> = edges.get(from).into_iter().flatten().copied().collect();
            while let Some(child) = next.pop() {
                if found.insert(child) {
                    next.extend(edges.get(child).into_iter().flatten());
                }
            }
            found
        };
        let circling = children
            .iter()
            .filter(|child| reached(child).contains(*child))
            .count();
        if circling > 0 {
            let folder = [&[name.to_owned()], folder].concat().join("/");
            numbers.insert(format!("circle {folder}"), circling);
        }
    }
}

fn prose(name: &str, numbers: &mut Numbers) {
    let begins = |line: &str| {
        let line = line.trim_start();
        let comment = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        comment.is_some_and(|comment| {
            let comment = comment.trim_start();
            let mut found = PRONOUNS
                .iter()
                .filter_map(|word| comment.strip_prefix(word));
            found.any(|rest| rest.starts_with(' '))
        })
    };
    // A line goes on with the sentence of the one before it, unless that ended one.
    let ends = |line: &str| {
        let line = line.trim();
        !line.starts_with("//") || line.ends_with(['.', ':']) || line.len() <= 3
    };
    let count = |file: &PathBuf| {
        let text = read(file);
        let lines: Vec<&str> = text.lines().collect();
        let counted = (0..lines.len()).filter(|at| {
            let is_first = at.checked_sub(1).is_none_or(|before| ends(lines[before]));
            is_first && begins(lines[*at])
        });
        counted.count()
    };
    let all = files(&root().join(name).join("src"), "rs");
    numbers.insert(format!("prose {name}"), all.iter().map(count).sum());
}

fn folders(name: &str, numbers: &mut Numbers) {
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut stems: BTreeMap<String, usize> = BTreeMap::new();
    for (_, file) in modules(name) {
        let folder = file.parent().expect("a file lies in a folder");
        *counts.entry(folder.to_owned()).or_default() += 1;
        let stem = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        *stems.entry(stem.unwrap_or_default()).or_default() += 1;
    }
    stems.remove("mod");
    let twice = stems.values().filter(|files| **files > 1).count();
    numbers.insert(format!("stems {name}"), twice);
    for (folder, count) in counts.into_iter().filter(|(_, count)| *count > FILES_MAX) {
        let folder = folder.strip_prefix(root()).expect("it lies there");
        numbers.insert(format!("files {}", folder.display()), count);
    }
}

fn measured() -> Numbers {
    let mut numbers = Numbers::new();
    for name in CRATES {
        prose(name, &mut numbers);
        circles(name, &mut numbers);
        folders(name, &mut numbers);
    }
    numbers
}

fn recorded(text: &str) -> Numbers {
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .map(|(name, number)| (name.to_owned(), number.parse().expect("a number")))
        .collect()
}

/// By what is counted, and by crate: folders may come and go.
fn sums(numbers: &Numbers) -> Numbers {
    let mut sums = Numbers::new();
    for (name, number) in numbers {
        let of = name.split('/').next().unwrap_or(name);
        *sums.entry(of.to_owned()).or_default() += number;
    }
    sums
}

#[test]
fn the_house_gets_lighter() {
    let file = root().join("tests/house.txt");
    let recorded = recorded(&fs::read_to_string(&file).unwrap_or_default());
    let measured = measured();
    let (before, now) = (sums(&recorded), sums(&measured));
    let is_heavier = |(of, sum): &(&String, &usize)| before.get(*of).is_some_and(|had| had < *sum);
    let heavier: Vec<_> = now.iter().filter(is_heavier).collect();
    assert!(
        heavier.is_empty(),
        "more than there were: {heavier:?} of {measured:#?}"
    );
    if std::env::var_os("UPDATE_HOUSE").is_some() {
        let lines = measured
            .iter()
            .map(|(name, number)| format!("{name} {number}\n"));
        fs::write(&file, lines.collect::<String>()).expect("it can be written");
        return;
    }
    assert_eq!(
        recorded, measured,
        "it is lighter: write that down with UPDATE_HOUSE=1"
    );
}

/// Files that a walk may have, by its place in the document.
const WALKS_MAX: [usize; 2] = [38, 54];

#[test]
fn walks_do_not_get_longer() {
    let walks = told();
    assert_eq!(walks.len(), WALKS_MAX.len());
    for (walk, max) in walks.iter().zip(WALKS_MAX) {
        let statement = &walk.statement;
        assert!(walk.files.len() <= max, "{statement}: {}", walk.files.len());
        let known: BTreeSet<_> = walk.files.iter().collect();
        assert_eq!(
            known.len(),
            walk.files.len(),
            "{statement}: a file is told twice"
        );
        let mut entered: BTreeMap<&Path, usize> = BTreeMap::new();
        let mut last = None;
        for file in &walk.files {
            assert!(
                root().join("engine/src").join(file).is_file(),
                "{statement}: {file}"
            );
            let folder = Path::new(file).parent().expect("a file lies in a folder");
            if last.replace(folder) != Some(folder) {
                *entered.entry(folder).or_default() += 1;
            }
        }
        entered.remove(Path::new(""));
        let often: Vec<_> = entered.iter().filter(|(_, times)| **times > 2).collect();
        assert!(
            often.is_empty(),
            "{statement}: entered more than twice: {often:?}"
        );
    }
}

#[test]
fn a_circle_would_be_seen() {
    let own = ["a".to_owned(), "b".to_owned()];
    let found = |text| {
        let paths = imports(&own, text).into_iter();
        paths.map(|path| path.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(found("use super::{c::D, e};"), ["a::c::D", "a::e"]);
    assert_eq!(
        found("use crate::x::{y::{Z, W}, v};"),
        ["x::y::Z", "x::y::W", "x::v"]
    );
    assert_eq!(found("let x = super::super::f::g(1);"), ["f::g"]);
    assert_eq!(
        found("use std::fmt; // super::comment"),
        Vec::<String>::new()
    );
    assert_eq!(origins("mod x;\npub use x::{A, B};")["B"], "x");
}
