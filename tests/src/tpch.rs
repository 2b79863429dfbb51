//! TPC-H: its tables, made by the crate `tpchgen`, and its 22 queries with what PostgreSQL answers.
//!
//! `tests/data/tpch` holds the schema, the queries as the specification writes them, and the answers at the scales
//! for which there are any: a line a row, values apart by `|`, as PostgreSQL prints them. Where the specification
//! leaves the order of rows open, both sides are sorted.

use crate::source::{read, root};
use remora::{Connection, Database, Result};
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tpchgen::csv;
use tpchgen::generators as made;

/// How many queries there are.
pub const QUERIES: usize = 22;

/// What came of a query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its number.
    pub query: usize,
    /// How long it took.
    pub took: Duration,
    /// The first difference from what is expected; `None` where there is none, or nothing is expected.
    pub difference: Option<String>,
    /// How many rows it gave.
    pub rows: usize,
}

/// A database in memory with all tables at a scale.
///
/// # Errors
/// Those of the engine and of the file system.
pub fn load(scale: f64) -> std::result::Result<Database, Box<dyn std::error::Error>> {
    let database = Database::in_memory()?;
    let conn = database.connect()?;
    conn.execute_batch(&read(&root().join("tests/data/tpch/schema.sql")))?;
    let region = made::RegionGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "region",
        csv::RegionCsv::header(),
        region.iter().map(csv::RegionCsv::new),
    )?;
    let nation = made::NationGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "nation",
        csv::NationCsv::header(),
        nation.iter().map(csv::NationCsv::new),
    )?;
    let part = made::PartGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "part",
        csv::PartCsv::header(),
        part.iter().map(csv::PartCsv::new),
    )?;
    let supplier = made::SupplierGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "supplier",
        csv::SupplierCsv::header(),
        supplier.iter().map(csv::SupplierCsv::new),
    )?;
    let partsupp = made::PartSuppGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "partsupp",
        csv::PartSuppCsv::header(),
        partsupp.iter().map(csv::PartSuppCsv::new),
    )?;
    let customer = made::CustomerGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "customer",
        csv::CustomerCsv::header(),
        customer.iter().map(csv::CustomerCsv::new),
    )?;
    let orders = made::OrderGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "orders",
        csv::OrderCsv::header(),
        orders.iter().map(csv::OrderCsv::new),
    )?;
    let lineitem = made::LineItemGenerator::new(scale, 1, 1);
    copy(
        &conn,
        "lineitem",
        csv::LineItemCsv::header(),
        lineitem.iter().map(csv::LineItemCsv::new),
    )?;
    Ok(database)
}

fn copy(
    conn: &Connection,
    table: &str,
    header: &str,
    rows: impl Iterator<Item = impl Display>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut file = std::io::BufWriter::new(tempfile::NamedTempFile::new()?);
    writeln!(file, "{header}")?;
    for row in rows {
        writeln!(file, "{row}")?;
    }
    file.flush()?;
    let path = file
        .get_ref()
        .path()
        .display()
        .to_string()
        .replace('\'', "''");
    conn.execute(
        &format!("COPY {table} FROM '{path}' WITH (FORMAT csv, HEADER)"),
        [],
    )?;
    Ok(())
}

/// Asks all queries, and compares with the answers at `scale` (`0.01`), if there are any.
///
/// # Errors
/// The first query that fails.
pub fn ask_all(database: &Database, scale: &str) -> Result<Vec<Answer>> {
    ask_with(&database.connect()?, scale)
}

/// The same with the settings of a connection.
///
/// # Errors
/// The first query that fails.
pub fn ask_with(conn: &Connection, scale: &str) -> Result<Vec<Answer>> {
    let data = root().join("tests/data/tpch");
    let answers = data.join("answers").join(format!("sf{scale}"));
    (1..=QUERIES)
        .map(|query| ask(conn, query, &data, &answers))
        .collect()
}

fn ask(conn: &Connection, query: usize, data: &Path, answers: &Path) -> Result<Answer> {
    let sql = read(&data.join(format!("queries/q{query:02}.sql")));
    let begin = Instant::now();
    // Query 15 makes a view, asks it and drops it.
    let mut found = Vec::new();
    for statement in sql.split(';').filter(|part| !part.trim().is_empty()) {
        if let Some(rows) = conn.run(statement, [])?.rows {
            found = rows.iter().map(line).collect();
        }
    }
    let took = begin.elapsed();
    let path = answers.join(format!("q{query:02}.csv"));
    let rows = found.len();
    let difference = path
        .exists()
        .then(|| difference(found, &read(&path)))
        .flatten();
    Ok(Answer {
        query,
        took,
        difference,
        rows,
    })
}

fn line(row: remora::Row<'_>) -> String {
    let texts = row.values().zip(row.columns()).map(|(value, column)| {
        let text = remora::internal::text::format(value, column.data_type);
        text.unwrap_or_else(|| "NULL".to_owned())
    });
    texts.collect::<Vec<_>>().join("|")
}

/// The first row that one side has and the other has not.
fn difference(mut found: Vec<String>, expected: &str) -> Option<String> {
    let mut expected: Vec<&str> = expected.lines().collect();
    found.sort_unstable();
    expected.sort_unstable();
    if found.len() != expected.len() {
        return Some(format!("{} rows, not {}", found.len(), expected.len()));
    }
    let mut pairs = found.iter().zip(expected);
    let odd = pairs.find(|(found, expected)| found != expected);
    odd.map(|(found, expected)| format!("{found}, not {expected}"))
}
