//! The door: each function of the library is used from outside, somewhere. One that no other test, example or document
//! uses is used here, or should not be offered.

#![allow(clippy::unwrap_used, reason = "a test")]

use remora::{
    ConstraintUsage, DataType, Database, DropBehavior, Error, FunctionFlags, IndexConstraintOp,
    MemoryLine, Options, Result, RetryLimit, RowStream, TransactionOptions, VTab, VTabScan, Value,
    ValueRef, sqlstate,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn one(db: &Database, sql: &str) -> Result<i64> {
    db.connect()?.query_row(sql, [], |row| row.get(0))
}

#[test]
fn copies_are_opened_with_options() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("db");
    let options = || Options::new().checkpoint_rate(64 << 20);
    let db = Database::open_with(&directory, options().checkpoint_on_close(true))?;
    db.connect()?
        .execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (42)")?;
    let bytes = db.serialize()?;
    db.close()?;
    assert!(
        Database::verify_with(&directory, options())?
            .damages
            .is_empty()
    );
    let quiet = || Options::new().freeze_after(Duration::MAX);
    for copy in [
        Database::load_with(&directory, quiet())?,
        Database::deserialize_with(&bytes, quiet())?,
    ] {
        assert_eq!(one(&copy, "SELECT n FROM t")?, 42);
    }
    Ok(())
}

#[test]
fn memory_is_asked_about_and_limited() -> Result<()> {
    let db = Database::in_memory()?;
    db.set_max_memory(64 << 20)?;
    let report = db.memory();
    assert_eq!(report.budget, 64 << 20);
    let used: u64 = report
        .lines
        .iter()
        .map(|line: &MemoryLine| line.bytes)
        .sum();
    assert!(used <= report.budget);
    assert!(
        db.memory_pressure_history().is_empty(),
        "it is far from full"
    );
    Ok(())
}

#[test]
fn statements_tell_their_columns_and_parameters() -> Result<()> {
    let conn = Database::in_memory()?.connect()?;
    let statement = conn.prepare("SELECT $1 + 1 AS next, $2 || 'x' AS text")?;
    assert_eq!(statement.column_names(), ["next", "text"]);
    assert_eq!(statement.parameter_count(), 2);
    assert_eq!(
        statement.parameter_types(),
        [DataType::Integer, DataType::Text]
    );
    Ok(())
}

#[test]
fn a_transaction_ends_as_it_was_told() -> Result<()> {
    let db = Database::in_memory()?;
    let mut conn = db.connect()?;
    conn.execute("CREATE TABLE t (n BIGINT)", [])?;
    let mut tx = conn.transaction()?;
    tx.execute("INSERT INTO t VALUES (1)", [])?;
    tx.set_drop_behavior(DropBehavior::Commit);
    assert_eq!(tx.drop_behavior(), DropBehavior::Commit);
    drop(tx);
    let mut tries = 0;
    let lost = conn.transact_with(
        TransactionOptions::default(),
        RetryLimit::default().attempts(3),
        |_| -> Result<()> {
            tries += 1;
            Err(Error::new(sqlstate::SERIALIZATION_FAILURE, "again"))
        },
    );
    assert_eq!(lost.unwrap_err().sqlstate(), "40001");
    assert_eq!((tries, one(&db, "SELECT count(*) FROM t")?), (3, 1));
    Ok(())
}

/// Numbers from 1 on.
struct Numbers;

impl VTab for Numbers {
    fn columns(&self) -> Vec<(String, DataType)> {
        vec![("n".to_owned(), DataType::BigInt)]
    }

    fn best_index(&self, _: usize, op: IndexConstraintOp) -> ConstraintUsage {
        match op {
            IndexConstraintOp::Lt => ConstraintUsage::Used,
            _ => ConstraintUsage::Ignored,
        }
    }

    fn open(&self, scan: &VTabScan<'_>) -> Result<RowStream> {
        let end = scan
            .constraints
            .iter()
            .find_map(|constraint| match constraint.value {
                Value::BigInt(end) => Some(end),
                _ => None,
            });
        let columns = scan.columns.len();
        let rows = (1..end.unwrap_or(100)).map(move |n| Ok(vec![Value::BigInt(n); columns]));
        Ok(RowStream::rows(rows))
    }
}

#[test]
fn functions_and_tables_come_and_go() -> Result<()> {
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    let (name, types) = ("len_or_zero", [DataType::Text]);
    let flags = FunctionFlags::default();
    conn.create_scalar_function(
        name,
        &types,
        DataType::Integer,
        flags,
        |context| match context.get_raw(0) {
            ValueRef::Text("no") => {
                let error = Error::new(sqlstate::DATA_EXCEPTION, "no is no text");
                Err(error.with_detail("It is a word."))
            }
            ValueRef::Text(text) => Ok(text.len() as i32),
            _ => Ok(0),
        },
    )?;
    let sql = "SELECT len_or_zero('four')";
    assert_eq!(conn.query_row(sql, [], |row| row.get::<_, i32>(0))?, 4);
    let error = conn.execute("SELECT len_or_zero('no')", []).unwrap_err();
    assert_eq!(error.detail(), Some("It is a word."));
    conn.remove_function(name, &types)?;
    assert_eq!(
        conn.prepare(sql).unwrap_err().sqlstate(),
        sqlstate::UNDEFINED_FUNCTION
    );

    conn.create_virtual_table("numbers", Numbers)?;
    let sum = "SELECT sum(n)::bigint FROM numbers WHERE n < 5";
    assert_eq!(conn.query_row(sum, [], |row| row.get::<_, i64>(0))?, 10);
    conn.remove_virtual_table("numbers")?;
    assert_eq!(conn.prepare(sum).unwrap_err().sqlstate(), "42P01");
    Ok(())
}

/// Files below a folder of one of these endings.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            files(&path, endings, found);
        } else if ending.is_some_and(|ending| endings.contains(&ending)) {
            found.push(path);
        }
    }
}

/// Words that stand outside: in other crates, tests from outside, documents, and examples.
fn outside(root: &Path) -> BTreeSet<String> {
    let mut paths = Vec::new();
    for folder in ["tests", "repl", "docs", "engine/tests", "engine/examples"] {
        files(&root.join(folder), &["rs", "md"], &mut paths);
    }
    let mut text: String = paths
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut own = Vec::new();
    files(&root.join("engine/src"), &["rs"], &mut own);
    for file in own {
        let lines = fs::read_to_string(file).unwrap();
        let examples = lines.lines().filter(|line| {
            let line = line.trim_start();
            line.starts_with("///") || line.starts_with("//!")
        });
        examples.for_each(|line| text.extend([line, "\n"]));
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_word(c)).map(str::to_owned).collect()
}

/// A function that is not for users is `pub(crate)`, which the lint `unreachable_pub` sees to; a type is offered for the
/// functions that give it.
#[test]
fn every_function_that_is_offered_is_used() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
    let used = outside(engine.parent().unwrap());
    let mut own = Vec::new();
    files(&engine.join("src"), &["rs"], &mut own);
    // The SQLSTATEs are a list of their own, with a script for each.
    own.retain(|file| !file.ends_with("tests.rs") && !file.ends_with("src/error.rs"));
    let mut unused = Vec::new();
    for file in own {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let item = line.trim_start().strip_prefix("pub ");
            let Some(item) = item.map(|item| item.trim_start_matches("const ")) else {
                continue;
            };
            let name = item.strip_prefix("fn ").map(|item| {
                let end = item.find(|c: char| !c.is_alphanumeric() && c != '_');
                &item[..end.unwrap_or(item.len())]
            });
            if let Some(name) = name.filter(|name| !used.contains(*name)) {
                unused.push(format!("{name} in {}", file.display()));
            }
        }
    }
    assert!(unused.is_empty(), "offered, and used nowhere: {unused:#?}");
}
