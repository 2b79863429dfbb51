//! The manual of functions: what there is, with types, one line of description and an example.
//!
//! It is made of the definitions themselves, which say all but the examples; these are in `examples.tsv`, one a line:
//! the name, what is written, and what comes of it. `docs/sql/function_list.md`, the shell's completion and its
//! `.functions` are made of this, and a test runs the examples.
//!
//! Definitions of one name and description make one entry: what they take and give is put together position by
//! position, types apart by slashes. `number` stands for all types of numbers, `any` for whatever fits.

use super::aggregate::{self, MakeAccumulator, RowOrder};
use super::generic::{Generic, Pattern};
use super::window::WindowFunction;
use super::{Kernel, registry, table};
use remora_storage::DataType;
use std::collections::BTreeMap;
use std::fmt;

const EXAMPLES: &str = include_str!("examples.tsv");

/// What kind of function something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Written as a sign between or before its arguments.
    Operator,
    /// Of one row's values.
    Function,
    /// Of many rows.
    Aggregate,
    /// Of rows around one.
    Window,
    /// Gives rows.
    Table,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Operator,
        Self::Function,
        Self::Aggregate,
        Self::Window,
        Self::Table,
    ];

    /// What several of it are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "Operators",
            Self::Function => "Functions",
            Self::Aggregate => "Aggregates",
            Self::Window => "Window functions",
            Self::Table => "Table functions",
        }
    }
}

/// An example: what is written, and what comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Example {
    /// A query, or the expression that one selects.
    pub sql: &'static str,
    /// Its result: rows apart by `; `, values of a row by `|`.
    pub result: &'static str,
}

impl Example {
    /// The whole query.
    pub fn query(&self) -> String {
        match self.sql.starts_with("SELECT ") {
            true => self.sql.to_owned(),
            false => format!("SELECT {}", self.sql),
        }
    }
}

/// A function in the manual.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// How it is called, with types in the place of arguments.
    pub call: String,
    /// The types that it gives.
    pub returns: String,
    /// What it does.
    pub doc: &'static str,
    /// Examples of the name.
    pub examples: Vec<Example>,
}

/// What is between the definitions of an entry the same.
type Key = (Kind, &'static str, &'static str, usize, bool);

/// Types at each position, and those of the results.
#[derive(Default)]
struct Types {
    arguments: Vec<Vec<String>>,
    returns: Vec<String>,
}

/// All entries, by kind and name.
pub fn entries() -> Vec<Entry> {
    let mut all: BTreeMap<Key, Types> = BTreeMap::new();
    let mut add = |key: Key, arguments: Vec<String>, returns: String| {
        let types = all.entry(key).or_default();
        types.arguments.resize(arguments.len(), Vec::new());
        for (known, found) in types.arguments.iter_mut().zip(arguments) {
            note(known, found);
        }
        note(&mut types.returns, returns);
    };
    for overload in registry::all() {
        let kind = match overload.name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            true => Kind::Function,
            false => Kind::Operator,
        };
        let (arguments, returns) = match &overload.kernel {
            Kernel::Generic(generic, _) => generic_types(generic),
            Kernel::Typed { .. } => plain_types(overload.arguments, overload.returns),
        };
        let returns = match overload.fields {
            [] => returns,
            fields => record_type(fields),
        };
        let key = (
            kind,
            overload.name,
            overload.doc,
            arguments.len(),
            overload.variadic,
        );
        add(key, arguments, returns);
    }
    for found in aggregate::all() {
        let (arguments, returns) = match &found.accumulator {
            MakeAccumulator::Generic(generic, _) => generic_types(generic),
            MakeAccumulator::Typed(_) => plain_types(found.arguments, found.returns),
        };
        let is_set = found.order == RowOrder::Set;
        let key = (
            Kind::Aggregate,
            found.name,
            found.doc,
            arguments.len(),
            is_set,
        );
        add(key, arguments, returns);
    }
    for window in WindowFunction::ALL {
        let (arguments, returns) = window.types();
        let arguments: Vec<String> = arguments.iter().map(|of| (*of).to_owned()).collect();
        let key = (
            Kind::Window,
            window.name(),
            window.doc(),
            arguments.len(),
            false,
        );
        add(key, arguments, returns.to_owned());
    }
    for found in table::all() {
        let (arguments, returns) = match &found.generic {
            Some(generic) => generic_types(generic),
            None => plain_types(found.arguments, found.returns),
        };
        let returns = match found.columns {
            [] => format!("rows of {returns}"),
            columns => format!("rows of {}", record_type(columns)),
        };
        let key = (Kind::Table, found.name, found.doc, arguments.len(), false);
        add(key, arguments, returns);
    }
    let entry = |(key, types): (Key, Types)| {
        let (kind, name, doc, _, is_special) = key;
        let arguments: Vec<String> = types.arguments.into_iter().map(together).collect();
        Entry {
            kind,
            name,
            call: call(kind, name, &arguments, is_special),
            returns: together(types.returns),
            doc,
            examples: examples(name),
        }
    };
    all.into_iter().map(entry).collect()
}

/// The names of all functions that are written as words.
pub fn names() -> Vec<&'static str> {
    let words = entries()
        .into_iter()
        .filter(|entry| entry.kind != Kind::Operator);
    let mut names: Vec<_> = words.map(|entry| entry.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The examples of a name.
fn examples(name: &str) -> Vec<Example> {
    let lines = EXAMPLES.lines().filter_map(|line| {
        let (found, rest) = line.split_once('\t')?;
        let (sql, result) = rest.split_once('\t')?;
        (found == name).then_some(Example { sql, result })
    });
    lines.collect()
}

fn call(kind: Kind, name: &str, arguments: &[String], is_special: bool) -> String {
    match (kind, arguments) {
        (Kind::Operator, [one]) => format!("{name} {one}"),
        (Kind::Operator, [left, right]) => format!("{left} {name} {right}"),
        (Kind::Aggregate, [before @ .., last]) if is_special => {
            format!(
                "{name}({}) WITHIN GROUP (ORDER BY {last})",
                before.join(", ")
            )
        }
        (Kind::Aggregate, []) if name == "count" => "count(*)".to_owned(),
        _ => {
            let more = if is_special { ", ..." } else { "" };
            format!("{name}({}{more})", arguments.join(", "))
        }
    }
}

fn plain_types(arguments: &[DataType], returns: DataType) -> (Vec<String>, String) {
    let arguments = arguments.iter().map(DataType::to_string);
    (arguments.collect(), returns.to_string())
}

/// Fields or columns with their types.
fn record_type(fields: &[(&str, DataType)]) -> String {
    let fields = fields.iter().map(|(name, of)| format!("{name} {of}"));
    let fields: Vec<String> = fields.collect();
    format!("({})", fields.join(", "))
}

fn generic_types(generic: &Generic) -> (Vec<String>, String) {
    let name = |pattern: &Pattern| match pattern {
        Pattern::Is(data_type) => data_type.to_string(),
        Pattern::Any => "any".to_owned(),
        Pattern::Element => "element".to_owned(),
        Pattern::Array | Pattern::SameArray => "array".to_owned(),
        Pattern::Packed => "same type".to_owned(),
        Pattern::Enum => "enum".to_owned(),
        Pattern::Enums => "enum[]".to_owned(),
        Pattern::Range => "range".to_owned(),
        Pattern::Multirange => "multirange".to_owned(),
        Pattern::Subtype => "bound".to_owned(),
        Pattern::Ranges => "range[]".to_owned(),
    };
    let arguments = generic.arguments.iter().map(name);
    (arguments.collect(), name(&generic.returns))
}

fn note(known: &mut Vec<String>, found: String) {
    if !known.contains(&found) {
        known.push(found);
    }
}

/// Types that may stand in one place.
fn together(mut types: Vec<String>) -> String {
    const NUMBERS: [&str; 6] = [
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric",
    ];
    let has = |name: &str, types: &[String]| types.iter().any(|found| found == name);
    if NUMBERS.iter().all(|number| has(number, &types)) {
        types.retain(|found| !NUMBERS.contains(&found.as_str()));
        types.insert(0, "number".to_owned());
    }
    match types.len() {
        0..=6 => types.join("/"),
        _ => "any".to_owned(),
    }
}

impl fmt::Display for Entry {
    /// As the page and the shell show it: the call, what it does, and what examples give.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} -> {}", self.call, self.returns)?;
        if !self.doc.is_empty() {
            writeln!(f, "    {}.", self.doc.trim_end_matches('.'))?;
        }
        self.examples
            .iter()
            .try_for_each(|example| writeln!(f, "    {}  -->  {}", example.sql, example.result))
    }
}

/// `docs/sql/function_list.md`
pub fn page() -> String {
    let mut page = String::from(
        "# List of functions\n\n\
         Made from the definitions, by `UPDATE_FUNCTION_LIST=1 cargo test -p remora-tests --test function_list`.\n\
         Types that may stand in one place are apart by slashes; `number` is any type of numbers. Rows of an\n\
         example are apart by `;`, values by `|`.\n",
    );
    let all = entries();
    for kind in Kind::ALL {
        page += &format!("\n## {}\n\n```text\n", kind.name());
        let mut before = "";
        for entry in all.iter().filter(|entry| entry.kind == kind) {
            // The examples of a name stand with its first entry.
            let examples = match before == entry.name {
                true => Vec::new(),
                false => entry.examples.clone(),
            };
            before = entry.name;
            let shown = Entry {
                examples,
                ..entry.clone()
            };
            page += &shown.to_string();
        }
        page += "```\n";
    }
    page
}
