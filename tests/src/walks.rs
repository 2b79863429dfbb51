//! The walks that `docs/architecture.md` tells: which files of the engine a statement goes through.

use crate::source::{read, root};

/// A statement and its files, as they are told.
#[derive(Debug)]
pub struct Walk {
    /// The statement, in words.
    pub statement: String,
    /// Paths within the engine's sources, in order.
    pub files: Vec<String>,
}

/// The walks of the document.
pub fn told() -> Vec<Walk> {
    told_in(&read(&root().join("docs/architecture.md")))
}

/// The walks of a text: the first block beneath the heading *Two walks*. A line that is indented begins with a file.
fn told_in(text: &str) -> Vec<Walk> {
    let section = text.split("## Two walks").nth(1).unwrap_or_default();
    let block = section.split("```").nth(1).unwrap_or_default();
    let mut walks: Vec<Walk> = Vec::new();
    for line in block.lines().skip(1).filter(|line| !line.is_empty()) {
        match (line.starts_with(' '), walks.last_mut()) {
            (true, Some(walk)) => {
                walk.files
                    .extend(line.split_whitespace().next().map(str::to_owned));
            }
            _ => walks.push(Walk {
                statement: line.to_owned(),
                files: Vec::new(),
            }),
        }
    }
    walks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_a_statement_and_indented_files() {
        let walks = told_in(
            "## Two walks\nwords\n```text\nan X\n  a/b.rs  it does\n  c.rs\n\na Y\n  d.rs\n```\n",
        );
        let walks: Vec<_> = walks
            .iter()
            .map(|walk| (walk.statement.as_str(), walk.files.join(" ")))
            .collect();
        assert_eq!(
            walks,
            [
                ("an X", "a/b.rs c.rs".to_owned()),
                ("a Y", "d.rs".to_owned())
            ]
        );
    }
}
