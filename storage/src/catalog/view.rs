//! Views: a query with a name, as text.
//!
//! Storage does not read the text. It keeps beside it what each name in it stood for when the view was made:
//!
//! ```text
//!   SELECT a, u.b FROM t JOIN u ..     "t" -> table 7: a = column 0 (used), c = column 2
//!                                      "u" -> view 9:  a = column 0, b = column 1 (used)
//! ```
//!
//! So a view means the same whatever its tables and their columns are called later, and `*` in it stays what it
//! was when columns come. Tables and views have ids of one row of numbers: a source can be either.
//!
//! Invariant: what a view uses exists, with the type that it had, and no view leads to itself. Who commits a
//! catalog sees to that ([`super::Catalog::merge`]); who takes something away asks for its views first
//! ([`super::Catalog::views_of`]).

use super::Catalog;
use super::definition::Materialized;
use super::trigger::TriggerDef;
use crate::ids::{ColumnId, SchemaId, TableId};
use crate::value::DataType;
use serde::{Deserialize, Serialize};

/// A view.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewDef {
    /// Its id; no table has it.
    pub id: TableId,
    /// Its name.
    pub name: String,
    /// What it shows, in order. Columns never go, so that their positions are their ids.
    pub columns: Vec<ViewColumn>,
    /// The query as SQL text.
    pub query: String,
    /// What the names in the query stand for.
    pub sources: Vec<ViewSource>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "SchemaId::is_public")]
    pub schema: SchemaId,
    /// Whether rows that are written through it must be ones that it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ViewCheck>,
    /// What is done in place of changes of its rows, and beside them, in the order of names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerDef>,
}

/// WITH CHECK OPTION: what rows must fulfil that are written through a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ViewCheck {
    /// Its own conditions.
    Local,
    /// Those of the views beneath as well.
    Cascaded,
}

/// A column of a view.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ViewColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

/// A table or view that a view's query names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ViewSource {
    /// As which name.
    pub name: String,
    /// Which one.
    pub relation: TableId,
    /// The columns that it had when the view was made.
    pub columns: Vec<SourceColumn>,
}

/// A column that a view's query could name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceColumn {
    /// Which one; of a view, its position.
    pub id: ColumnId,
    /// As which name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether the query names it: then it cannot go, or change its type.
    pub used: bool,
}

/// The sources of a query, whether it is that of a view or of a materialized one.
pub trait Sources {
    /// What the names in the query stand for.
    fn sources(&self) -> &[ViewSource];

    /// Whether the query names a table or view.
    fn names(&self, relation: TableId) -> bool {
        let mut sources = self.sources().iter();
        sources.any(|source| source.relation == relation)
    }

    /// Whether the query names a column of a table or view.
    fn uses(&self, relation: TableId, column: ColumnId) -> bool {
        let sources = self.sources().iter();
        let mut columns = sources
            .filter(|source| source.relation == relation)
            .flat_map(|source| &source.columns);
        columns.any(|found| found.id == column && found.used)
    }

    /// Whether all that the query names exists in a catalog.
    fn stands_in(&self, catalog: &Catalog) -> bool {
        self.sources()
            .iter()
            .all(|source| source.stands_in(catalog))
    }
}

impl Sources for ViewDef {
    fn sources(&self) -> &[ViewSource] {
        &self.sources
    }
}

impl Sources for Materialized {
    fn sources(&self) -> &[ViewSource] {
        &self.sources
    }
}

impl ViewDef {
    /// Whether what the query names is, or leads to, a certain view.
    pub fn leads_to(&self, target: TableId, catalog: &Catalog) -> bool {
        let mut seen: Vec<TableId> = self.sources.iter().map(|source| source.relation).collect();
        let mut at = 0;
        while let Some(id) = seen.get(at).copied() {
            if id == target {
                return true;
            }
            let view = catalog.view_by_id(id).map(|view| view.sources());
            let table = catalog.table_by_id(id);
            let table = table.and_then(|table| table.def.materialized.as_ref());
            let table = table.map(Materialized::sources);
            for source in view.or(table).into_iter().flatten() {
                if !seen.contains(&source.relation) {
                    seen.push(source.relation);
                }
            }
            at += 1;
        }
        false
    }
}

impl ViewSource {
    pub(super) fn stands_in(&self, catalog: &Catalog) -> bool {
        let mut used = self.columns.iter().filter(|column| column.used);
        if let Some(table) = catalog.table_by_id(self.relation) {
            let columns = &table.def.columns;
            used.all(|used| {
                let mut found = columns.iter();
                found.any(|column| column.id == used.id && column.data_type == used.data_type)
            })
        } else if let Some(view) = catalog.view_by_id(self.relation) {
            used.all(|used| {
                let found = view.columns.get(used.id.0 as usize);
                found.is_some_and(|column| column.data_type == used.data_type)
            })
        } else {
            false
        }
    }
}
