//! What tables, indexes and sequences there are, as names and as SQL that makes them again.

use super::connection::Connection;
use super::view_sql::{in_order, view_sql};
use crate::error::{Error, Result, state};
use crate::plan::Field;
use crate::plan::sequence::default_text;
use remora_storage::ColumnId;
use remora_storage::catalog::{
    Catalog, ColumnDef, Constraint, ForeignAction, ForeignKeyDef, Identity, IndexColumn, IndexDef,
    IndexEntry, IndexKind, SequenceDef, SequenceEntry, TableDef, TableEntry, ViewColumn,
};
use sqlparser::keywords::{self, Keyword};
use std::fmt::Write;
use std::sync::Arc;

/// An index, for listings.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// The table it is on.
    pub table: String,
    /// Whether it keeps keys from coming twice.
    pub unique: bool,
    /// The statement that makes it; for the index of a constraint, the constraint.
    pub sql: String,
}

/// All of it as the connection's next statement sees it, with what an open transaction has made.
impl Connection {
    /// The names of all tables, in order.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn tables(&self) -> Result<Vec<String>> {
        let catalog = self.catalog()?;
        Ok(catalog.tables().map(|t| t.def.name.clone()).collect())
    }

    /// The names of all sequences, in order.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn sequences(&self) -> Result<Vec<String>> {
        let catalog = self.catalog()?;
        Ok(catalog.sequences().map(|s| s.def.name.clone()).collect())
    }

    /// The names of all views, in order.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn views(&self) -> Result<Vec<String>> {
        let catalog = self.catalog()?;
        let mut names: Vec<String> = catalog.views().map(|view| view.name.clone()).collect();
        names.sort();
        Ok(names)
    }

    /// Names and types of the columns of a table or view.
    ///
    /// # Errors
    /// 42P01 where there is neither.
    pub fn columns(&self, table: &str) -> Result<Vec<Field>> {
        if let Some(view) = self.catalog()?.view(table) {
            let columns = view.columns.iter();
            let field = |column: &ViewColumn| Field {
                name: column.name.clone(),
                data_type: column.data_type,
            };
            return Ok(columns.map(field).collect());
        }
        let entries = self.entries(Some(table))?;
        let columns = entries.iter().flat_map(|entry| &entry.def.columns);
        let field = |column: &ColumnDef| Field {
            name: column.name.clone(),
            data_type: column.data_type,
        };
        Ok(columns.map(field).collect())
    }

    /// The indexes of a table, or of all.
    ///
    /// # Errors
    /// 42P01 where there is no such table.
    pub fn indexes(&self, table: Option<&str>) -> Result<Vec<IndexInfo>> {
        let entries = self.entries(table)?;
        let indexes = entries.iter().flat_map(|entry| {
            let info = |index: &Arc<IndexEntry>| IndexInfo {
                name: index.def.name.clone(),
                table: entry.def.name.clone(),
                unique: index.def.unique,
                sql: match index.def.constraint {
                    Some(_) => constraint_sql(&entry.def, &index.def),
                    None => index_sql(&entry.def, &index.def),
                },
            };
            entry.indexes.iter().map(info)
        });
        Ok(indexes.collect())
    }

    /// The statements that make a table or view, or all of them, with indexes and the sequences that tables
    /// take numbers from; of all, with all sequences. What others refer to or name comes first, and sequences
    /// go on where they stand.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// conn.execute("create table t (id bigint primary key, v varchar(3) default 'x')", [])?;
    /// assert_eq!(
    ///     conn.schema(Some("t"))?,
    ///     ["CREATE TABLE t (\n    \
    ///         id bigint NOT NULL,\n    \
    ///         v character varying(3) DEFAULT 'x',\n    \
    ///         CONSTRAINT t_pkey PRIMARY KEY (id)\n\
    ///     );"]
    /// );
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42P01 where there is no such table.
    pub fn schema(&self, table: Option<&str>) -> Result<Vec<String>> {
        let catalog = self.catalog()?;
        if let Some(view) = table.and_then(|name| catalog.view(name)) {
            return Ok(vec![view_sql(view, &catalog)?]);
        }
        let entries = self.entries(table)?;
        let (mut statements, mut behind) = sequence_sql(&catalog, &entries, table.is_none());
        for entry in parents_first(entries) {
            statements.push(table_sql(&catalog, &entry));
            let free = entry.indexes.iter().filter(|i| i.def.constraint.is_none());
            statements.extend(free.map(|index| index_sql(&entry.def, &index.def)));
        }
        statements.append(&mut behind);
        if table.is_none() {
            for view in in_order(&catalog) {
                statements.push(view_sql(view, &catalog)?);
            }
        }
        Ok(statements)
    }

    fn entries(&self, table: Option<&str>) -> Result<Vec<Arc<TableEntry>>> {
        let catalog = self.catalog()?;
        let Some(name) = table else {
            return Ok(catalog.tables().map(Arc::clone).collect());
        };
        match catalog.table(name) {
            Some(entry) => Ok(vec![Arc::clone(entry)]),
            None => Err(Error::new(
                state::UNDEFINED_TABLE,
                format!("relation \"{name}\" does not exist"),
            )),
        }
    }
}

/// Tables in the order given, but none before those that it refers to.
fn parents_first(entries: Vec<Arc<TableEntry>>) -> Vec<Arc<TableEntry>> {
    let mut left = entries;
    let mut ordered: Vec<Arc<TableEntry>> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |entry: &Arc<TableEntry>| {
            let mut parents = entry.parents().filter(|parent| *parent != entry.def.id);
            parents.any(|parent| left.iter().any(|other| other.def.id == parent))
        };
        // Where they refer to each other in a circle, one has to be the first.
        let (now, later): (Vec<_>, Vec<_>) = match left.iter().all(waits) {
            true => (vec![left.remove(0)], left),
            false => left.iter().cloned().partition(|entry| !waits(entry)),
        };
        ordered.extend(now);
        left = later;
    }
    ordered
}

fn table_sql(catalog: &Catalog, entry: &TableEntry) -> String {
    let def = &entry.def;
    let mut parts: Vec<String> = def.columns.iter().map(|c| column_sql(catalog, c)).collect();
    let constraints = entry.indexes.iter().filter(|i| i.def.constraint.is_some());
    parts.extend(constraints.map(|index| constraint_sql(def, &index.def)));
    parts.extend(def.checks.iter().map(|check| {
        format!(
            "CONSTRAINT {} CHECK ({})",
            quoted(&check.name),
            check.expression
        )
    }));
    let keys = def.foreign_keys.iter();
    parts.extend(keys.map(|key| foreign_key_sql(catalog, def, key)));
    let body = parts.join(",\n    ");
    let gap = if body.is_empty() { "" } else { "\n    " };
    format!("CREATE TABLE {} ({gap}{body}\n);", quoted(&def.name))
}

fn column_sql(catalog: &Catalog, column: &ColumnDef) -> String {
    let mut sql = format!("{} {}", quoted(&column.name), column.data_type);
    let own = column.sequences.first();
    let own = own.and_then(|id| catalog.sequence_by_id(*id));
    // Writing to a String cannot fail.
    let _ = match (&column.default, column.identity, own) {
        (_, Some(identity), Some(own)) => {
            let when = match identity {
                Identity::Always => "ALWAYS",
                Identity::ByDefault => "BY DEFAULT",
            };
            let options = sequence_options(&own.def, false);
            write!(sql, " GENERATED {when} AS IDENTITY ({options})")
        }
        // Under the name that it has now.
        (Some(default), _, Some(own)) if is_call(default) => {
            write!(sql, " DEFAULT {}", default_text(&own.def.name))
        }
        (Some(default), ..) => write!(sql, " DEFAULT {default}"),
        (None, ..) => Ok(()),
    };
    if column.not_null {
        sql.push_str(" NOT NULL");
    }
    sql
}

/// Whether a default is nothing but the next number of a sequence.
fn is_call(default: &str) -> bool {
    let name = default
        .strip_prefix("nextval('")
        .and_then(|rest| rest.strip_suffix("')"));
    name.is_some_and(|name| !name.contains('\''))
}

/// What makes sequences: before the tables that take numbers from them, and behind.
fn sequence_sql(
    catalog: &Catalog,
    tables: &[Arc<TableEntry>],
    all: bool,
) -> (Vec<String>, Vec<String>) {
    let is_used = |entry: &SequenceEntry| {
        let mut columns = tables.iter().flat_map(|table| &table.def.columns);
        columns.any(|column| column.sequences.contains(&entry.def.id))
    };
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    for entry in catalog.sequences().filter(|entry| all || is_used(entry)) {
        let (def, name) = (&entry.def, quoted(&entry.def.name));
        let owner = def.owner.and_then(|(table, column)| {
            let table = &catalog.table_by_id(table)?.def;
            let column = &table.columns[table.position(column)?];
            Some((table, column))
        });
        let identity = owner.is_some_and(|(_, column)| column.identity.is_some());
        if !identity {
            before.push(format!(
                "CREATE SEQUENCE {name} {};",
                sequence_options(def, true)
            ));
        }
        let (position, has_moved) = {
            let position = entry.counter.state().position;
            (position, position != def.beginning())
        };
        let text = default_text(&def.name);
        let text = text.trim_start_matches("nextval(").trim_end_matches(')');
        // An identity's sequence may have been given another name than it gets again.
        let made_up = owner.filter(|_| identity).map(|(table, column)| {
            let part = |name: &str| format!("'{}'", name.replace('\'', "''"));
            let table = part(&quoted(&table.name));
            format!("pg_get_serial_sequence({table}, {})", part(&column.name))
        });
        if let Some((table, column)) = owner.filter(|_| !identity) {
            let (table, column) = (quoted(&table.name), quoted(&column.name));
            behind.push(format!("ALTER SEQUENCE {name} OWNED BY {table}.{column};"));
        }
        if has_moved {
            let (last, called) = (position.last, position.is_called);
            let target = made_up.as_deref().unwrap_or(text);
            behind.push(format!("SELECT setval({target}, {last}, {called});"));
        }
    }
    (before, behind)
}

fn sequence_options(def: &SequenceDef, with_type: bool) -> String {
    let rule = &def.rule;
    let data_type = match with_type {
        true => format!("AS {} ", def.data_type),
        false => String::new(),
    };
    let cycle = if rule.cycle { " CYCLE" } else { "" };
    format!(
        "{data_type}START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {}{cycle}",
        def.start, rule.increment, rule.min, rule.max, def.cache
    )
}

fn constraint_sql(table: &TableDef, index: &IndexDef) -> String {
    let kind = match index.constraint {
        Some(Constraint::PrimaryKey) => "PRIMARY KEY",
        Some(Constraint::Unique) | None => "UNIQUE",
    };
    let columns = index.columns.iter().map(|c| column_name(table, c));
    format!(
        "CONSTRAINT {} {kind} ({})",
        quoted(&index.name),
        columns.collect::<Vec<_>>().join(", ")
    )
}

fn foreign_key_sql(catalog: &Catalog, table: &TableDef, key: &ForeignKeyDef) -> String {
    let names = |table: &TableDef, columns: &[ColumnId]| {
        let columns = columns.iter().filter_map(|id| table.position(*id));
        let names = columns.map(|position| quoted(&table.columns[position].name));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut sql = format!(
        "CONSTRAINT {} FOREIGN KEY ({})",
        quoted(&key.name),
        names(table, &key.columns)
    );
    // Writing to a String cannot fail.
    if let Some(parent) = catalog.table_by_id(key.parent) {
        let (name, columns) = (
            quoted(&parent.def.name),
            names(&parent.def, &key.referenced),
        );
        let _ = write!(sql, " REFERENCES {name} ({columns})");
    }
    if key.full {
        sql.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        let action = match action {
            ForeignAction::NoAction => continue,
            ForeignAction::Restrict => "RESTRICT",
            ForeignAction::Cascade => "CASCADE",
            ForeignAction::SetNull => "SET NULL",
            ForeignAction::SetDefault => "SET DEFAULT",
        };
        let _ = write!(sql, " ON {event} {action}");
    }
    sql
}

fn index_sql(table: &TableDef, index: &IndexDef) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let using = match index.kind {
        IndexKind::Ordered => "",
        IndexKind::Hash => "USING HASH ",
    };
    let columns = index.columns.iter().map(|column| {
        let name = column_name(table, column);
        let order = match (column.descending, column.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        name + order
    });
    format!(
        "CREATE {unique}INDEX {} ON {} {using}({});",
        quoted(&index.name),
        quoted(&table.name),
        columns.collect::<Vec<_>>().join(", ")
    )
}

fn column_name(table: &TableDef, column: &IndexColumn) -> String {
    let def = table.columns.iter().find(|c| c.id == column.column);
    def.map(|c| quoted(&c.name)).unwrap_or_default()
}

/// An identifier as it must be written to be read back.
pub(super) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if starts_well && name.chars().all(plain) && !is_reserved(name) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let Ok(at) = keywords::ALL_KEYWORDS.binary_search(&upper.as_str()) else {
        return false;
    };
    let keyword: &Keyword = &keywords::ALL_KEYWORDS_INDEX[at];
    keywords::RESERVED_FOR_TABLE_ALIAS.contains(keyword)
        || keywords::RESERVED_FOR_COLUMN_ALIAS.contains(keyword)
        || keywords::RESERVED_FOR_IDENTIFIER.contains(keyword)
}
