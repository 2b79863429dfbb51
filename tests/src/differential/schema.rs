//! Random tables: types, constraints, indexes and rows.
//!
//! A column's name tells its kind (`i0` is the first of integers), so that columns that tables share may be
//! joined by name. Most tables have a column `id` that is unique and never NULL: with it a query can ask
//! for an order that leaves nothing to chance.

use super::text::Kind;
use crate::random::Random;
use remora_storage::ids::BLOCK_SLOTS;

/// Rows that only fill up a block have an `id` above.
const FILLER_ID: u32 = 1_000_000;

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// What it holds.
    pub(super) kind: Kind,
    /// As Remora declares it.
    declared: &'static str,
    /// Whether arithmetic with it stays within bounds.
    pub(super) is_calm: bool,
    /// Whether it has some thousand values, so that an index finds few rows for each.
    pub(super) is_wide: bool,
    is_nullable: bool,
    is_unique: bool,
    has_check: bool,
    default: Option<String>,
    references: Option<Reference>,
}

/// The table whose `id` a column refers to.
#[derive(Clone, Debug)]
struct Reference {
    table: String,
    /// What that table holds to begin with.
    ids: Vec<String>,
    actions: [&'static str; 2],
}

/// An index whose keys may be in many rows, or end with `id`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Index {
    /// Expressions, each perhaps with `DESC`.
    pub(super) keys: Vec<String>,
    method: Method,
    /// Of which rows, if not of all.
    filter: Option<String>,
}

/// How an index is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Ordered,
    /// Ordered, and told to be unique: its last key is `id`.
    Unique,
    /// SQLite has an ordered one.
    Hash,
}

/// A table with its rows, each a constant as Remora writes it in a literal.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Its name.
    pub(super) name: String,
    /// Its columns; the first may be `id`.
    pub(super) columns: Vec<Column>,
    /// Whether it has `id`.
    pub(super) has_id: bool,
    is_keyed: bool,
    /// Its indexes that refuse no rows.
    pub(super) indexes: Vec<Index>,
    /// Its rows to begin with.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// Who the definition is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum For {
    /// Remora.
    Remora,
    /// SQLite.
    Sqlite,
}

const KINDS: [Kind; 12] = [
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Bool,
    Kind::Real,
    Kind::Numeric,
    Kind::Date,
    Kind::Bytes,
    Kind::Int,
];

/// One to four tables; with a chance of so many in a hundred one takes more than one batch.
pub(super) fn tables(random: &mut Random, large: u64) -> Vec<Table> {
    let count = 1 + random.below(4);
    let large = random.chance(large).then(|| random.below(count));
    let mut tables = Vec::new();
    for number in 0..count {
        let table = table(random, number, large == Some(number), &tables);
        tables.push(table);
    }
    tables
}

fn table(random: &mut Random, number: u64, is_large: bool, earlier: &[Table]) -> Table {
    let has_id = is_large || !random.chance(15);
    let mut columns = Vec::new();
    if has_id {
        columns.push(Column {
            name: "id".to_owned(),
            kind: Kind::Int,
            declared: ["INTEGER", "BIGINT"][random.below(2) as usize],
            is_calm: true,
            is_wide: false,
            is_nullable: false,
            is_unique: false,
            has_check: false,
            default: None,
            references: None,
        });
    }
    for _ in 0..1 + random.below(5) {
        let kind = random.pick(&KINDS).expect("kinds");
        let nth = columns
            .iter()
            .filter(|c| c.name != "id" && c.kind == kind)
            .count();
        columns.push(column(random, kind, nth));
    }
    if random.chance(25) {
        refer(random, &mut columns, earlier);
    }
    if is_large {
        widen(random, &mut columns);
    }
    let mut indexes = match is_large {
        true => selective_indexes(random, &columns),
        false => Vec::new(),
    };
    indexes.extend(some_indexes(random, &columns));
    indexes.truncate(4);
    let mut table = Table {
        name: format!("t{number}"),
        has_id,
        is_keyed: random.chance(80),
        indexes,
        columns,
        rows: Vec::new(),
    };
    let rows = match random.below(10) {
        _ if is_large => large_size(random),
        0 => 0,
        1 => 1,
        2 => 15 + random.below(15),
        _ => 2 + random.below(11),
    };
    // Rows that may not be there are many where a large table has another key.
    let tries = if is_large { 8 * rows } else { rows };
    for id in 0..tries {
        let row = table.row(random, id as i64);
        if table.rows.len() as u64 == rows {
            break;
        }
        if !table.clashes(&row) && table.meets(&row) {
            table.rows.push(row);
        }
    }
    table
}

/// Rows of a large table: more than a block and a batch have, and at times than two.
fn large_size(random: &mut Random) -> u64 {
    match random.chance(15) {
        true => 4200,
        false => 2300,
    }
}

/// Gives columns of a large table many values: half of those that can, and all that must not repeat one.
fn widen(random: &mut Random, columns: &mut [Column]) {
    for column in columns.iter_mut().filter(|column| column.name != "id") {
        let can = matches!(column.kind, Kind::Int | Kind::Text)
            && column.is_calm
            && !column.has_check
            && column.references.is_none();
        column.is_wide = can && (column.is_unique || random.chance(60));
        column.is_unique &= column.is_wide;
    }
}

/// Indexes that begin with columns of many values; one at least.
fn selective_indexes(random: &mut Random, columns: &[Column]) -> Vec<Index> {
    let mut wide: Vec<&Column> = columns.iter().filter(|column| column.is_wide).collect();
    if wide.is_empty() {
        wide.extend(columns.last());
    }
    let index = |column: &&Column| selective_index(random, column, columns);
    wide.iter().map(index).collect()
}

/// An index that begins with this column, in one of several ways.
fn selective_index(random: &mut Random, first: &Column, columns: &[Column]) -> Index {
    let directed = |random: &mut Random, column: &Column| {
        let direction = if random.chance(25) { " DESC" } else { "" };
        format!("{}{direction}", column.name)
    };
    let mut keys = vec![directed(random, first)];
    let mut method = Method::Ordered;
    match random.below(8) {
        0 => (keys, method) = (vec![first.name.clone()], Method::Hash),
        1 if first.name != "id" => {
            keys.push("id".to_owned());
            method = Method::Unique;
        }
        2..=4 => {
            let second = &columns[random.below(columns.len() as u64) as usize];
            if second.name != first.name {
                keys.push(directed(random, second));
            }
        }
        _ => {}
    }
    let filter = random.chance(10).then(|| first.test());
    Index {
        keys,
        method,
        filter,
    }
}

fn column(random: &mut Random, kind: Kind, nth: usize) -> Column {
    let (initial, declared): (&str, &[&str]) = match kind {
        Kind::Int => ("i", &["SMALLINT", "INTEGER", "BIGINT", "BIGINT"]),
        Kind::Bool => ("b", &["BOOLEAN"]),
        Kind::Text => ("s", &["TEXT", "VARCHAR(40)", "VARCHAR"]),
        Kind::Real => ("r", &["DOUBLE PRECISION", "DOUBLE PRECISION", "REAL"]),
        Kind::Numeric => ("n", &["NUMERIC(12,2)", "NUMERIC"]),
        Kind::Date => ("d", &["DATE"]),
        Kind::Bytes => ("y", &["BYTEA"]),
    };
    let declared = random.pick(declared).expect("types");
    let is_nullable = random.chance(85);
    let mut column = Column {
        name: format!("{initial}{nth}"),
        kind,
        declared,
        is_calm: !random.chance(20),
        is_wide: false,
        is_nullable,
        is_unique: is_nullable && random.chance(6),
        has_check: kind == Kind::Int && random.chance(10),
        default: None,
        references: None,
    };
    if random.chance(15) {
        column.default = Some(column.constant(random));
    }
    column
}

/// Makes a column of integers refer to a table that is there.
fn refer(random: &mut Random, columns: &mut [Column], earlier: &[Table]) {
    let fits = |column: &&mut Column| {
        column.kind == Kind::Int && column.is_nullable && !column.is_unique && column.is_calm
    };
    let others: Vec<&Table> = earlier.iter().filter(|table| table.has_id).collect();
    let (Some(column), Some(other)) = (columns.iter_mut().find(fits), random.pick(&others)) else {
        return;
    };
    let actions = ["NO ACTION", "RESTRICT", "CASCADE", "SET NULL"];
    let action = |random: &mut Random| random.pick(&actions).expect("actions");
    column.default = None;
    column.references = Some(Reference {
        table: other.name.clone(),
        ids: other.rows.iter().filter_map(|row| row[0].clone()).collect(),
        actions: [action(random), action(random)],
    });
}

fn some_indexes(random: &mut Random, columns: &[Column]) -> Vec<Index> {
    let mut indexes = Vec::new();
    for _ in 0..random.below(4) {
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..1 + random.below(2) {
            let column = &columns[random.below(columns.len() as u64) as usize];
            let key = match random.chance(20) {
                true => column.derived(),
                false => column.name.clone(),
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let column = &columns[random.below(columns.len() as u64) as usize];
        let filter = random.chance(20).then(|| column.test());
        let method = Method::Ordered;
        let index = Index {
            keys,
            method,
            filter,
        };
        if !indexes.contains(&index) {
            indexes.push(index);
        }
    }
    indexes
}

impl Column {
    /// An expression over it that an index may have for a key.
    fn derived(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Int => format!("({name} % 3)"),
            Kind::Text => format!("lower({name})"),
            _ => format!("({name} IS NULL)"),
        }
    }

    /// What the rows of an index may have in common.
    fn test(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Int => format!("{name} > 2"),
            Kind::Text => format!("{name} <> 'a'"),
            _ => format!("{name} IS NOT NULL"),
        }
    }

    /// A value of it that is not NULL.
    pub(super) fn constant(&self, random: &mut Random) -> String {
        if let Some(reference) = &self.references
            && random.chance(85)
            && !reference.ids.is_empty()
        {
            let at = random.below(reference.ids.len() as u64) as usize;
            return reference.ids[at].clone();
        }
        if self.is_wide {
            return wide_constant(random, self.kind);
        }
        let wild = match (self.is_calm, self.declared) {
            (true, _) | (_, "BOOLEAN") => None,
            (_, "SMALLINT") => random.pick(&["32767", "-32768"]),
            (_, "INTEGER") => random.pick(&["2147483647", "-2147483648"]),
            (_, "BIGINT") => random.pick(&[
                "9223372036854775807",
                "-9223372036854775808",
                "2147483648",
                "9007199254740993",
            ]),
            (_, "BYTEA") => random.pick(&["00", "ff00ff", "616263646566"]),
            (_, "DATE") => random.pick(&["0001-01-01", "9999-12-31", "1900-02-28"]),
            (_, "NUMERIC(12,2)" | "NUMERIC") => random.pick(&["9999999999.75", "-9999999999.75"]),
            (_, "DOUBLE PRECISION") => random.pick(&["1e15", "-1e15", "1e-3"]),
            _ => random.pick(&[
                "Ärger",
                "日本",
                "it's",
                "%_\\",
                " ",
                "a b c d e f g h i j k l",
            ]),
        };
        match wild {
            Some(wild)
                if random.chance(40)
                    && !(self.kind == Kind::Int && self.has_check)
                    && (self.declared != "REAL") =>
            {
                wild.to_owned()
            }
            _ => constant(random, self.kind),
        }
    }

    /// Its declaration.
    fn declaration(&self, whose: For) -> String {
        let declared = match (whose, self.kind) {
            (For::Remora, _) => self.declared,
            (_, Kind::Int | Kind::Bool) => "INT",
            (_, Kind::Text | Kind::Date) => "TEXT",
            (_, Kind::Real | Kind::Numeric) => "REAL",
            (_, Kind::Bytes) => "BLOB",
        };
        let mut text = format!("{} {declared}", self.name);
        if let Some(default) = &self.default {
            text += &format!(" DEFAULT ({})", written(self.kind, Some(default), whose));
        }
        if !self.is_nullable {
            text += " NOT NULL";
        }
        if self.is_unique {
            text += " UNIQUE";
        }
        if self.has_check {
            text += &format!(" CHECK ({} > -40)", self.name);
        }
        if let Some(Reference {
            table,
            actions: [delete, update],
            ..
        }) = &self.references
        {
            text += &format!(" REFERENCES {table} (id) ON DELETE {delete} ON UPDATE {update}");
        }
        text
    }
}

/// A value of a column that has many: about two thousand, of which texts begin alike often.
pub(super) fn wide_constant(random: &mut Random, kind: Kind) -> String {
    match kind {
        Kind::Int => random.below(2000).to_string(),
        Kind::Text => {
            let letter = |random: &mut Random| random.pick(&["a", "b", "B", "é"]).expect("letters");
            let letters: String = (0..3).map(|_| letter(random)).collect();
            format!("{letters}{}", random.below(30))
        }
        _ => constant(random, kind),
    }
}

/// A plain value of a kind: few of them, so that they meet.
pub(super) fn constant(random: &mut Random, kind: Kind) -> String {
    match kind {
        Kind::Int => (random.below(14) as i64 - 3).to_string(),
        Kind::Bool => ["false", "true"][random.below(2) as usize].to_owned(),
        Kind::Text => {
            let texts = ["", "a", "b", "ab", "abc", "B", "A", "10", "9", "x'y", "c%"];
            random.pick(&texts).expect("texts").to_owned()
        }
        Kind::Real | Kind::Numeric => {
            let quarters = random.below(48) as i64 - 12;
            format!("{:.2}", quarters as f64 / 4.0)
        }
        Kind::Date => {
            let (month, day) = (1 + random.below(3), 1 + random.below(28));
            format!("20{:02}-{month:02}-{day:02}", 20 + random.below(3))
        }
        Kind::Bytes => {
            let bytes = ["", "00", "61", "6162", "ff"];
            random.pick(&bytes).expect("bytes").to_owned()
        }
    }
}

/// A value as a statement has it.
pub(super) fn written(kind: Kind, value: Option<&str>, whose: For) -> String {
    let Some(value) = value else {
        return "NULL".to_owned();
    };
    let dialect = match whose {
        For::Remora => super::text::Dialect::Remora,
        For::Sqlite => super::text::Dialect::Sqlite,
    };
    super::text::Text::Literal(kind, value.to_owned())
        .render(dialect)
        .expect("a constant can be said")
}

impl Table {
    /// A row that might be in it.
    pub(super) fn row(&self, random: &mut Random, id: i64) -> Vec<Option<String>> {
        let value = |column: &Column| {
            if column.name == "id" {
                return Some(id.to_string());
            }
            let is_null = column.is_nullable && random.chance(20);
            (!is_null).then(|| column.constant(random))
        };
        self.columns.iter().map(value).collect()
    }

    /// Whether a value that must be unique is there.
    fn clashes(&self, row: &[Option<String>]) -> bool {
        let mut unique = (0..row.len()).filter(|at| self.columns[*at].is_unique);
        unique.any(|at| row[at].is_some() && self.rows.iter().any(|other| other[at] == row[at]))
    }

    /// Whether what the row refers to is there to begin with.
    fn meets(&self, row: &[Option<String>]) -> bool {
        let mut values = row.iter().zip(&self.columns);
        values.all(|(value, column)| match (value, &column.references) {
            (Some(value), Some(reference)) => reference.ids.contains(value),
            _ => true,
        })
    }

    /// Whether something besides `id` must be unique.
    pub(super) fn has_more_keys(&self) -> bool {
        self.columns.iter().any(|column| column.is_unique)
    }

    /// The statements that make it, without its rows.
    pub(super) fn definition(&self, whose: For, with_indexes: bool) -> Vec<String> {
        let mut parts: Vec<String> = self.columns.iter().map(|c| c.declaration(whose)).collect();
        if self.has_id {
            let word = if self.is_keyed {
                "PRIMARY KEY"
            } else {
                "UNIQUE"
            };
            parts.push(format!("{word} (id)"));
        }
        let mut statements = vec![format!("CREATE TABLE {} ({})", self.name, parts.join(", "))];
        if with_indexes {
            for (number, index) in self.indexes.iter().enumerate() {
                let (name, keys) = (&self.name, index.keys.join(", "));
                let filter = index.filter.iter().map(|test| format!(" WHERE {test}"));
                let filter: String = filter.collect();
                let (unique, using) = match index.method {
                    Method::Unique => ("UNIQUE ", ""),
                    Method::Hash if whose == For::Remora => ("", "USING HASH "),
                    Method::Ordered | Method::Hash => ("", ""),
                };
                statements.push(format!(
                    "CREATE {unique}INDEX {name}_x{number} ON {name} {using}({keys}){filter}"
                ));
            }
        }
        statements
    }

    /// The statements that fill it.
    pub(super) fn filling(&self, whose: For) -> Vec<String> {
        let row = |row: &Vec<Option<String>>| {
            let values = row.iter().zip(&self.columns);
            let values =
                values.map(|(value, column)| written(column.kind, value.as_deref(), whose));
            format!("({})", values.collect::<Vec<_>>().join(", "))
        };
        let chunks = self.rows.chunks(200);
        let statement = |rows: &[Vec<Option<String>>]| {
            let rows: Vec<String> = rows.iter().map(row).collect();
            format!("INSERT INTO {} VALUES {}", self.name, rows.join(", "))
        };
        chunks.map(statement).collect()
    }

    /// Statements after which its rows lie in a frozen block: what fills the block up is taken out again. A
    /// table without `id` stays as it is.
    pub(super) fn freezing(&self) -> Vec<String> {
        let value = |column: &Column| match column {
            column if column.name == "id" => format!("{FILLER_ID} + g"),
            column if column.is_nullable => "NULL".to_owned(),
            column => written(column.kind, Some(column.kind.plain()), For::Remora),
        };
        if !self.has_id {
            return Vec::new();
        }
        let values: Vec<String> = self.columns.iter().map(value).collect();
        let (name, values) = (&self.name, values.join(", "));
        vec![
            format!(
                "INSERT INTO {name} SELECT {values} FROM generate_series(1, {BLOCK_SLOTS}) AS g"
            ),
            format!("DELETE FROM {name} WHERE id > {FILLER_ID}"),
            format!("COMPACT TABLE {name}"),
        ]
    }
}
