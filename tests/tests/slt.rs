//! The SQL logic tests in `slt/`, each file on an empty database.

use remora::{Connection, Database, Error};
use remora_tests::session::{Output, run};
use remora_tests::source;
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};

struct Engine(Connection);

impl DB for Engine {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Self::ColumnType>, Self::Error> {
        Ok(match run(&self.0, sql)? {
            Output {
                rows: Some(rows),
                types,
                ..
            } => DBOutput::Rows {
                types: types.iter().map(|name| column_type(name)).collect(),
                rows: rows
                    .into_iter()
                    .map(|row| row.into_iter().map(cell).collect())
                    .collect(),
            },
            Output { changes, .. } => DBOutput::StatementComplete(changes),
        })
    }

    fn engine_name(&self) -> &str {
        "remora"
    }

    fn error_sql_state(error: &Self::Error) -> Option<String> {
        Some(error.sqlstate().to_owned())
    }
}

fn column_type(name: &str) -> DefaultColumnType {
    match name {
        "smallint" | "integer" | "bigint" => DefaultColumnType::Integer,
        "real" | "double precision" => DefaultColumnType::FloatingPoint,
        name if name.starts_with("numeric") => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn cell(value: Option<String>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "(empty)".to_owned(),
        Some(text) => text,
    }
}

#[test]
fn logic_tests() {
    let files = source::files(&source::root().join("tests/slt"), "slt");
    assert!(!files.is_empty(), "tests/slt is empty");
    let mut failures = Vec::new();
    for file in files {
        let database = Database::in_memory().expect("a database in memory");
        let mut runner = Runner::new(|| async { database.connect().map(Engine) });
        runner.with_column_validator(sqllogictest::strict_column_validator);
        if let Err(error) = runner.run_file(&file) {
            failures.push(error.to_string());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
