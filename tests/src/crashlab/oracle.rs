//! What a database holds, as text.

use super::script::Script;
use remora::{Connection, Database, Error};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A hash of a text.
pub fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// All tables with their rows, the indexes and sequences, and what the script's probes give. Of caches only the names, since
/// their evictions are commits of their own, and of unlogged tables, which a crash empties.
///
/// # Errors
/// Where it cannot be read.
pub fn contents(database: &Database, script: &Script) -> Result<String, Error> {
    let conn = database.connect()?;
    let mut text = String::new();
    let tables = rows(&conn, "SELECT name FROM remora_tables ORDER BY name")?;
    let forgetful = "SELECT table_name FROM remora_caches UNION ALL
        SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'";
    let forgetful = rows(&conn, forgetful)?;
    for table in &tables[1..] {
        let _ = writeln!(text, "table {table}");
        if forgetful.contains(table) {
            continue;
        }
        let mut rows = rows(&conn, &format!("SELECT * FROM \"{table}\""))?;
        // The order of rows is nobody's promise.
        rows[1..].sort();
        text.extend(rows.iter().flat_map(|row| ["  ", row, "\n"]));
    }
    for query in [
        "SELECT name, table_name, kind, is_unique FROM remora_indexes ORDER BY name",
        "SELECT sequencename, start_value, min_value, max_value, increment_by, cycle \
         FROM pg_sequences ORDER BY sequencename",
    ] {
        text.extend(rows(&conn, query)?.iter().flat_map(|row| [row, "\n"]));
    }
    for probe in &script.probes {
        let _ = writeln!(text, "{probe}");
        match rows(&conn, probe) {
            Ok(rows) => text.extend(rows.iter().flat_map(|row| ["  ", row, "\n"])),
            Err(error) => text.push_str(error.sqlstate()),
        }
    }
    Ok(text)
}

/// The columns of a query, and then its rows.
fn rows(conn: &Connection, sql: &str) -> Result<Vec<String>, Error> {
    let Some(found) = conn.run(sql, [])?.rows else {
        return Ok(Vec::new());
    };
    let columns = found.columns();
    let heads = columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.data_type));
    let mut lines = vec![heads.collect::<Vec<_>>().join(", ")];
    for row in found.iter() {
        let values = row.values().zip(columns).map(|(value, column)| {
            let text = remora::internal::text::format(value, column.data_type);
            text.unwrap_or_else(|| "NULL".to_owned())
        });
        lines.push(values.collect::<Vec<_>>().join("|"));
    }
    Ok(lines)
}
