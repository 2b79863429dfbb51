//! The repository as text: what the tests that guard its own rules read.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates whose sources are held to the rules.
pub const CRATES: [&str; 4] = ["storage", "engine", "repl", "tests"];

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package lies in a folder of the workspace")
        .to_owned()
}

/// All files of that extension below a folder, sorted; empty where the folder is missing.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text of a file of the checkout.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// All Rust sources of the workspace: path and text.
pub fn rust_files() -> Vec<(PathBuf, String)> {
    CRATES
        .iter()
        .flat_map(|name| files(&root().join(name), "rs"))
        .map(|path| {
            let text = read(&path);
            (path, text)
        })
        .collect()
}

/// The lines of code of a source, with their numbers from 1, up to its inline test module:
/// comments are gone, also those at the end of a line.
pub fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        let (index, line) = lines.next()?;
        if line.trim() == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|(_, next)| next.trim_start().starts_with("mod tests {"))
        {
            return None;
        }
        let code = line.find("//").map_or(line, |comment| &line[..comment]);
        Some((index + 1, code))
    })
}
