//! Who is asked: SQLite, and Remora twice, laid out and asked in different ways.

use super::mistake::Mistake;
use super::schema::{For, Table};
use super::text::{Dialect, Kind, Text};
use remora::internal::text;
use remora::{Connection, Database, Options, Value, ValueRef, params_from_iter};
use rusqlite::functions::FunctionFlags;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How long a statement of Remora may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Steps of SQLite's virtual machine between two counts.
const STEPS: i32 = 1_000_000;
/// Counts after which SQLite's statement is given up: of a seed always the same ones, whatever else the machine does.
const STEP_COUNTS_MAX: u32 = 20;
/// What a database may take.
const MEMORY: u64 = 1 << 30;

/// A value, as far as the engines have the same ones.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Cell {
    /// NULL.
    Null,
    /// Integers, and truth as 0 and 1.
    Int(i64),
    /// Numbers that may have fractions.
    Real(f64),
    /// Text, and what is told by its text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What a statement came to.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Outcome {
    /// It gave rows.
    Rows(Vec<Vec<Cell>>),
    /// It changed so many.
    Changed(u64),
    /// It failed: SQLSTATE (of Remora) and message.
    Failed(String, String),
    /// The engine cannot be asked that.
    Unsayable,
}

/// How a Remora is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Layout {
    /// Without the indexes that are not unique.
    pub(super) without_indexes: bool,
    /// Rows lie in frozen blocks.
    pub(super) frozen: bool,
    /// Everything happens in one transaction.
    pub(super) in_transaction: bool,
}

/// How a statement is put to a Remora.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Style {
    /// In other words.
    pub(super) rewritten: bool,
    /// Prepared, with constants as parameters.
    pub(super) parameters: bool,
    /// Planned with these rules: a value of setting `optimize`.
    pub(super) rules: Rules,
}

/// Rules by which statements are planned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rules(pub(super) &'static str);

impl Rules {
    /// All, without those that can be left out, or without one.
    pub(super) const ALL: [Self; 16] = [
        Self("on"),
        Self("off"),
        Self("without_constant_folding"),
        Self("without_predicate_pushdown"),
        Self("without_join_order"),
        Self("without_projection_merging"),
        Self("without_computed_keys"),
        Self("without_min_max"),
        Self("without_index_order"),
        Self("without_index_joins"),
        Self("without_index_selection"),
        Self("without_build_side"),
        Self("without_scan_bounds"),
        Self("without_top_n"),
        Self("without_projection_pruning"),
        Self("without_point_reads"),
    ];
}

impl Default for Rules {
    fn default() -> Self {
        Self("on")
    }
}

impl Style {
    /// The writing that is asked for.
    pub(super) fn dialect(self) -> Dialect {
        match self.rewritten {
            true => Dialect::Rewritten,
            false => Dialect::Remora,
        }
    }
}

/// A Remora in memory.
pub(super) struct Remora {
    connection: Connection,
    _database: Database,
    rules: Rules,
    mistake: Option<Mistake>,
}

impl Remora {
    /// One with these tables.
    ///
    /// # Errors
    /// What a definition or a row was refused for.
    pub(super) fn new(
        tables: &[Table],
        layout: Layout,
        mistake: Option<Mistake>,
    ) -> remora::Result<Self> {
        let options = Options::new()
            .max_memory(MEMORY)
            .statement_timeout(PATIENCE)
            .manual_maintenance(true);
        let database = Database::in_memory_with(options)?;
        let connection = database.connect()?;
        for table in tables {
            for sql in setup(table, layout) {
                connection.execute_batch(&sql)?;
            }
        }
        connection.set_on_error_rollback(true)?;
        if layout.in_transaction {
            connection.execute_batch("BEGIN")?;
        }
        Ok(Self {
            connection,
            _database: database,
            rules: Rules::default(),
            mistake,
        })
    }

    /// What a statement comes to; a panic is `PANIC`.
    pub(super) fn ask(&mut self, text: &Text, style: Style) -> Outcome {
        let (sql, parameters) = match style.parameters {
            true => text.with_parameters(style.dialect()),
            false => {
                let sql = text.render(style.dialect()).expect("Remora can say all");
                (sql, Vec::new())
            }
        };
        let sql = match self.mistake {
            Some(mistake) => mistake.make(&sql),
            None => sql,
        };
        let parameters: Vec<Value> = parameters.iter().map(|(k, v)| parameter(*k, v)).collect();
        let asked = catch_unwind(AssertUnwindSafe(|| self.run(&sql, parameters, style)));
        match asked {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Failed(error.sqlstate().to_owned(), error.to_string()),
            Err(_) => Outcome::Failed("PANIC".to_owned(), "it panicked".to_owned()),
        }
    }

    fn run(&mut self, sql: &str, parameters: Vec<Value>, style: Style) -> remora::Result<Outcome> {
        if self.rules != style.rules {
            let set = format!("SET optimize = {}", style.rules.0);
            self.connection.execute_batch(&set)?;
            self.rules = style.rules;
        }
        let outcome = self.connection.run(sql, params_from_iter(parameters))?;
        let Some(rows) = &outcome.rows else {
            return Ok(Outcome::Changed(outcome.changes));
        };
        let columns = rows.columns();
        let row = |row: remora::Row<'_>| {
            let cells = row.values().zip(columns);
            cells
                .map(|(value, column)| cell(value, column.data_type))
                .collect()
        };
        Ok(Outcome::Rows(rows.iter().map(row).collect()))
    }
}

fn setup(table: &Table, layout: Layout) -> Vec<String> {
    let mut statements = table.definition(For::Remora, !layout.without_indexes);
    statements.extend(table.filling(For::Remora));
    if layout.frozen {
        statements.extend(table.freezing());
    }
    statements
}

fn cell(value: ValueRef<'_>, data_type: remora::DataType) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Boolean(truth) => Cell::Int(truth.into()),
        ValueRef::SmallInt(n) => Cell::Int(n.into()),
        ValueRef::Integer(n) => Cell::Int(n.into()),
        ValueRef::BigInt(n) => Cell::Int(n),
        ValueRef::Real(n) => Cell::Real(n.into()),
        ValueRef::Double(n) => Cell::Real(n),
        ValueRef::Bytea(bytes) => Cell::Bytes(bytes.to_vec()),
        other => {
            let text = text::format(other, data_type).unwrap_or_default();
            match (other, text.parse()) {
                (ValueRef::Numeric(_), Ok(number)) => Cell::Real(number),
                _ => Cell::Text(text),
            }
        }
    }
}

fn parameter(kind: Kind, value: &str) -> Value {
    match kind {
        Kind::Int => value.parse().map_or(Value::Null, Value::BigInt),
        Kind::Bool => Value::Boolean(value == "true"),
        Kind::Real => value.parse().map_or(Value::Null, Value::Double),
        Kind::Bytes => Value::Text(format!("\\x{value}")),
        // As text, which is read as what is asked for.
        Kind::Text | Kind::Numeric | Kind::Date => Value::Text(value.to_owned()),
    }
}

/// SQLite in memory.
pub(super) struct Sqlite(rusqlite::Connection);

impl Sqlite {
    /// One with these tables.
    ///
    /// # Errors
    /// What a definition or a row was refused for.
    pub(super) fn new(tables: &[Table]) -> rusqlite::Result<Self> {
        let connection = rusqlite::Connection::open_in_memory()?;
        connection.execute_batch("PRAGMA case_sensitive_like = on; PRAGMA foreign_keys = on")?;
        // Its own know the letters of ASCII only.
        change_case(&connection, "lower", str::to_lowercase)?;
        change_case(&connection, "upper", str::to_uppercase)?;
        for table in tables {
            for sql in table
                .definition(For::Sqlite, true)
                .iter()
                .chain(&table.filling(For::Sqlite))
            {
                connection.execute_batch(sql)?;
            }
        }
        Ok(Self(connection))
    }

    /// What a query comes to.
    pub(super) fn ask(&mut self, text: &Text) -> Outcome {
        match text.render(Dialect::Sqlite) {
            None => Outcome::Unsayable,
            Some(sql) => self.run(&sql).unwrap_or_else(failed),
        }
    }

    /// What a change comes to, which is kept where `keep` says so.
    pub(super) fn change(&mut self, text: &Text, keep: bool) -> Outcome {
        let mark = |this: &Self, sql: &str| this.0.execute_batch(sql).expect("savepoints work");
        mark(self, "SAVEPOINT change");
        let outcome = self.ask(text);
        if self.0.is_autocommit() {
            // A change that took too long is undone with all that it is in, the savepoint too.
            return outcome;
        }
        if !keep || matches!(outcome, Outcome::Failed(..)) {
            mark(self, "ROLLBACK TO change");
        }
        mark(self, "RELEASE change");
        outcome
    }

    fn run(&mut self, sql: &str) -> rusqlite::Result<Outcome> {
        let mut counts = 0;
        let is_too_much = move || {
            counts += 1;
            counts > STEP_COUNTS_MAX
        };
        self.0.progress_handler(STEPS, Some(is_too_much))?;
        let mut statement = self.0.prepare(sql)?;
        let columns = statement.column_count();
        if columns == 0 {
            return Ok(Outcome::Changed(statement.execute([])? as u64));
        }
        let mut found = Vec::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(columns);
            for column in 0..columns {
                cells.push(match row.get_ref(column)? {
                    rusqlite::types::ValueRef::Null => Cell::Null,
                    rusqlite::types::ValueRef::Integer(n) => Cell::Int(n),
                    rusqlite::types::ValueRef::Real(n) => Cell::Real(n),
                    rusqlite::types::ValueRef::Text(text) => {
                        Cell::Text(String::from_utf8_lossy(text).into_owned())
                    }
                    rusqlite::types::ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
                });
            }
            found.push(cells);
        }
        Ok(Outcome::Rows(found))
    }
}

/// Gives SQLite a function that changes the case of texts.
fn change_case(
    connection: &rusqlite::Connection,
    name: &str,
    change: fn(&str) -> String,
) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(name, 1, flags, move |call| {
        Ok(call.get::<Option<String>>(0)?.map(|text| change(&text)))
    })
}

fn failed(error: rusqlite::Error) -> Outcome {
    Outcome::Failed(String::new(), error.to_string())
}
