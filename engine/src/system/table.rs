//! Definition of a system table: its name, and each column beside the expression of its value.
//!
//! A file of this folder defines its tables with [`system_table!`]; the list in `mod.rs` makes them known.

use crate::activity::{Activity, Opening};
use crate::error::Result;
use crate::function::{Defined, EvalContext, Needs, SearchPath};
use remora_storage::catalog::{Catalog, SequenceEntry, TableEntry, ViewDef};
use remora_storage::transaction::Core;
use remora_storage::{DataType, ReadView, SchemaId, SequenceId, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Name and type of a column.
pub(crate) type Column = (&'static str, DataType);

/// Values of all columns.
pub(crate) type Row = Vec<Value>;

/// A table that only the engine writes.
#[derive(Debug)]
pub(super) struct Definition {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// Parts of the session that the rows are made of.
    pub needs: Needs,
    pub rows: fn(&SystemContext<'_>) -> Result<Vec<Row>>,
}

/// Defines a table: name and needs, the items that have a row each, and per column its type and value.
///
/// `let` before `for` is evaluated once, `let` behind it once a row.
macro_rules! system_table {
    ($(#[$doc:meta])* $table:ident = $name:literal, $needs:ident;
     |$context:ident| $(let $outer:pat = $given:expr;)* for $item:pat in $items:expr;
     $(let $part:pat = $made:expr;)*
     $($column:literal $data_type:ident = $value:expr),* $(,)?) => {
        $(#[$doc])*
        pub(super) static $table: $crate::system::table::Definition = $crate::system::table::Definition {
            name: $name,
            columns: &[$(($column, remora_storage::DataType::$data_type)),*],
            needs: $crate::function::Needs::$needs,
            rows: |$context| {
                let mut rows = Vec::new();
                $(let $outer = $given;)*
                for $item in $items {
                    $(let $part = $made;)*
                    rows.push(vec![$($crate::system::table::Cell::value($value)),*]);
                }
                Ok(rows)
            },
        };
    };
}
pub(super) use system_table;

/// Source of the rows: the state of the engine when the statement reads the table.
#[derive(Debug)]
pub(super) struct SystemContext<'a> {
    pub view: &'a ReadView,
    pub eval: &'a EvalContext,
    /// The sequence that is read as a table.
    pub sequence: Option<SequenceId>,
}

impl<'a> SystemContext<'a> {
    pub(super) fn core(&self) -> &'a Core {
        self.view.core()
    }

    /// Returns what the sessions report; `None` where no session runs the statement.
    pub(super) fn activity(&self) -> Option<&'a Activity> {
        let session = self.eval.session.as_ref()?;
        Some(session.activity())
    }

    /// Returns how the database was opened.
    pub(super) fn opening(&self) -> Option<&'a Opening> {
        self.activity()?.opening()
    }

    /// Returns the newest catalog without the temporary objects of other sessions.
    pub(super) fn newest(&self) -> Names {
        let session = self.eval.session.as_ref();
        let path = session.map(|session| SearchPath::of_session(session.number()));
        Names {
            catalog: self.core().shown_catalog(),
            path: path.unwrap_or_default(),
        }
    }

    /// Returns the catalog that the statement sees without the temporary objects of other sessions.
    pub(super) fn names(&self) -> Names {
        let scope = self.eval.statement.as_ref();
        let catalog = scope.map(|scope| Arc::clone(scope.shared()));
        Names {
            catalog: catalog.unwrap_or_else(|| self.core().shown_catalog()),
            path: scope.map_or_else(SearchPath::default, |scope| scope.path().clone()),
        }
    }

    /// Returns the definition of an object as the session writes it out.
    pub(super) fn definition(&self, names: &Names, what: Defined) -> Result<Option<String>> {
        let session = self.eval.scope.as_ref();
        session.map_or(Ok(None), |session| session.definition(&names.catalog, what))
    }
}

/// A catalog as a session sees it.
#[derive(Debug)]
pub(super) struct Names {
    pub catalog: Arc<Catalog>,
    pub path: SearchPath,
}

impl Names {
    pub(super) fn shows(&self, schema: SchemaId) -> bool {
        self.path.shows(schema)
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = &Arc<TableEntry>> {
        let tables = self.catalog.tables();
        tables.filter(|table| self.shows(table.def.schema))
    }

    pub(super) fn views(&self) -> impl Iterator<Item = &Arc<ViewDef>> {
        let views = self.catalog.views();
        views.filter(|view| self.shows(view.schema))
    }

    pub(super) fn sequences(&self) -> impl Iterator<Item = &Arc<SequenceEntry>> {
        let sequences = self.catalog.sequences();
        sequences.filter(|sequence| self.shows(sequence.def.schema))
    }
}

/// A value of the engine as SQL has it. Numbers without sign become BIGINT, the largest one where they are too large.
pub(super) trait Cell {
    fn value(self) -> Value;
}

macro_rules! cells {
    ($($of:ty: |$cell:ident| $value:expr;)*) => {
        $(impl Cell for $of {
            fn value(self) -> Value {
                let $cell = self;
                $value
            }
        })*
    };
}

cells! {
    Value: |value| value;
    bool: |is| Value::Boolean(is);
    i16: |number| Value::SmallInt(number);
    i32: |number| Value::Integer(number);
    i64: |number| Value::BigInt(number);
    u32: |count| Value::BigInt(count.into());
    u64: |count| Value::BigInt(i64::try_from(count).unwrap_or(i64::MAX));
    f32: |number| Value::Real(number);
    f64: |number| Value::Double(number);
    String: |text| Value::Text(text);
    &String: |text| Value::Text(text.clone());
    &str: |text| Value::Text(text.to_owned());
    &Arc<str>: |text| Value::Text(text.to_string());
    // In milliseconds.
    Duration: |length| Value::Double(length.as_secs_f64() * 1000.0);
    SystemTime: |at| {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Value::TimestampTz(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    };
}

impl<C: Cell> Cell for Option<C> {
    fn value(self) -> Value {
        self.map_or(Value::Null, C::value)
    }
}
