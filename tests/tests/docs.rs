//! What documents name exists, paths of this repository and constants of its code; and the examples
//! of `docs/sql` give what they say.
//!
//! A fact written twice drifts apart. Documents therefore *name* the place where a fact lives, and
//! this test fails when the place has gone.

use remora_tests::source::{CRATES, files, read, root, rust_files};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn documents() -> Vec<PathBuf> {
    let mut documents = files(&root().join("docs"), "md");
    documents.push(root().join("README.md"));
    documents
}

/// The code spans of a document outside its fenced blocks, with their line numbers.
fn spans(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut spans = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let inside = line.split('`').skip(1).step_by(2);
            spans.extend(inside.map(|span| (index + 1, span)));
        }
    }
    spans
}

/// Whether a span reads as a path within this repository.
fn is_path(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
    let first = span.split('/').next().unwrap_or_default();
    span.contains('/')
        && span.chars().all(plain)
        && (CRATES.contains(&first) || ["docs", ".ci"].contains(&first))
}

/// Whether a span reads as the name of a constant (or of an environment variable).
fn is_constant(span: &str) -> bool {
    span.contains('_')
        && span.starts_with(|c: char| c.is_ascii_uppercase())
        && span
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Every span that reads as `wanted` and is not `there`, with its place.
fn missing(wanted: fn(&str) -> bool, there: impl Fn(&str) -> bool) -> Vec<String> {
    let mut missing = Vec::new();
    for document in documents() {
        let text = read(&document);
        for (line, span) in spans(&text) {
            if wanted(span) && !there(span) {
                missing.push(format!("{}:{line}: `{span}`", document.display()));
            }
        }
    }
    missing
}

#[test]
fn every_path_in_the_documents_exists() {
    let missing = missing(is_path, |span| {
        // Of a pattern, the folder before the first wildcard must exist.
        let fixed = match span.split_once('*') {
            Some((before, _)) => before.rsplit_once('/').map_or("", |(folder, _)| folder),
            None => span,
        };
        root().join(fixed).exists()
    });
    assert!(missing.is_empty(), "paths that do not exist: {missing:#?}");
}

#[test]
fn every_constant_in_the_documents_exists() {
    let mut words = BTreeSet::new();
    for (_, text) in rust_files() {
        words.extend(
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter(|word| is_constant(word))
                .map(str::to_owned),
        );
    }
    let missing = missing(is_constant, |span| words.contains(span));
    assert!(
        missing.is_empty(),
        "constants that are in no source: {missing:#?}"
    );
}

#[test]
fn a_missing_path_would_be_seen() {
    assert!(is_path("storage/src/pool") && is_path("tests/golden/*.txt"));
    assert!(!is_path("wal/") && !is_path("../shared/corpora") && !is_path("a/b"));
    assert!(is_constant("FRAME_BYTES_MAX") && !is_constant("NUMERIC") && !is_constant("a_B"));
    assert_eq!(
        spans("`a` b `c`\n```\n`d`\n```\n`e`"),
        [(1, "a"), (1, "c"), (5, "e")]
    );
}

/// One statement of an example, and the lines that it is said to give.
struct Example {
    sql: String,
    expected: Vec<String>,
}

/// The statements of one fenced block: each ends with a line that has its last semicolon; what is
/// said of it stands behind `-->`, on that line or on the ones that follow.
fn examples(block: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut open = false;
    for line in block.lines() {
        let (sql, said) = match line.split_once("-->") {
            Some((sql, said)) => (sql.trim_end(), Some(said.trim_end())),
            None => (line.trim_end(), None),
        };
        if !sql.is_empty() {
            if !open {
                examples.push(Example {
                    sql: String::new(),
                    expected: Vec::new(),
                });
            }
            let example = examples.last_mut().expect("one was pushed");
            example.sql.push_str(sql);
            example.sql.push('\n');
            open = !sql.ends_with(';');
        }
        if let (Some(said), Some(example)) = (said, examples.last_mut()) {
            example
                .expected
                .push(said.strip_prefix(' ').unwrap_or(said).to_owned());
        }
    }
    examples
}

/// What a statement gives: a line a row, or the SQLSTATE of its error.
fn outcome(conn: &remora::Connection, sql: &str) -> Vec<String> {
    let outcome = match conn.run(sql, []) {
        Ok(outcome) => outcome,
        Err(error) => return vec![error.sqlstate().to_owned()],
    };
    let Some(rows) = outcome.rows else {
        return Vec::new();
    };
    let style = conn.style().expect("nothing runs");
    let line = |row: remora::Row<'_>| {
        let texts = row.values().zip(rows.columns()).map(|(value, column)| {
            let text = remora::internal::text::format_in(value, column.data_type, &style);
            text.unwrap_or_else(|| "NULL".to_owned())
        });
        texts.collect::<Vec<_>>().join("|")
    };
    rows.iter().map(line).collect()
}

#[test]
fn the_examples_of_the_sql_pages_give_what_they_say() {
    let pages = files(&root().join("docs/sql"), "md");
    let text: String = pages.iter().map(|page| read(page)).collect();
    let blocks = text
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or(""));
    let mut count = 0;
    for block in blocks {
        let database = remora::Database::in_memory().expect("a database in memory");
        let conn = database.connect().expect("a connection");
        for example in examples(block) {
            assert_eq!(
                outcome(&conn, &example.sql),
                example.expected,
                "{}",
                example.sql
            );
            count += 1;
        }
    }
    assert!(count > 150, "the pages have examples");
}
