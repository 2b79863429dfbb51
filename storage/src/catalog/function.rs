//! Functions: SQL with a name and parameters, as text.
//!
//! Storage does not read the text. Functions share their names with others of other parameter types, and with
//! nothing else; they have ids of the row of numbers that tables and views have.
//!
//! Beside a body that was bound when the function was made stands what its names stood for, as beside the query
//! of a view ([`super::view`]); a body given as a string is read anew wherever the function is called, as in
//! PostgreSQL, and nothing stands beside it.

use super::view::ViewSource;
use super::{Catalog, CatalogObject};
use crate::error::{Error, Result};
use crate::ids::{ColumnId, TableId};
use crate::value::DataType;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A function.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionDef {
    /// Its id; no table, view or other function has it.
    pub id: TableId,
    /// Its name, which functions of other parameter types may have.
    pub name: String,
    /// What it takes.
    pub parameters: Vec<FunctionParameter>,
    /// What it gives.
    pub returns: FunctionResult,
    /// What it does.
    pub body: FunctionBody,
    /// Whether equal arguments give equal results.
    pub volatility: FunctionVolatility,
    /// Whether an argument that is NULL makes the result NULL, or empty.
    pub strict: bool,
}

/// A parameter of a function.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionParameter {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its type.
    pub data_type: DataType,
    /// What it is where a call gives nothing, as SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether it takes any number of arguments, as an array of them. It is the last one then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub variadic: bool,
}

/// What a function gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FunctionResult {
    /// Nothing: `void`.
    Nothing,
    /// A value.
    Value(DataType),
    /// Any number of values.
    Values(DataType),
    /// A row.
    Row {
        /// Of these columns, as those of its OUT parameters.
        columns: Vec<ResultColumn>,
        /// Which are those of a table or view.
        of: Option<TableId>,
    },
    /// Any number of rows.
    Rows {
        /// Of these columns.
        columns: Vec<ResultColumn>,
        /// Likewise.
        of: Option<TableId>,
    },
}

/// A column of what a function gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

/// What a function does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FunctionBody {
    /// A text of statements.
    Text(String),
    /// A query whose names stand for what they stood for: RETURN of an expression, or BEGIN ATOMIC.
    Bound {
        /// The query.
        query: String,
        /// What its names stand for.
        sources: Vec<ViewSource>,
    },
}

/// Whether equal arguments give equal results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum FunctionVolatility {
    /// Always.
    Immutable,
    /// Within a statement.
    Stable,
    /// Not even there.
    #[default]
    Volatile,
}

impl FunctionDef {
    /// What takes any number of arguments, if something does.
    pub fn variadic(&self) -> Option<&FunctionParameter> {
        self.parameters
            .last()
            .filter(|parameter| parameter.variadic)
    }

    /// The types of its parameters, in order: with its name, what tells it from others.
    pub fn types(&self) -> impl Iterator<Item = DataType> {
        self.parameters.iter().map(|parameter| parameter.data_type)
    }

    /// Whether it is about a table or view: its rows, or what its body names.
    pub fn is_about(&self, relation: TableId) -> bool {
        self.rows_of() == Some(relation) || self.sources().any(|source| source.relation == relation)
    }

    /// Whether its body names a column of a table or view.
    pub fn uses(&self, relation: TableId, column: ColumnId) -> bool {
        let sources = self.sources().filter(|source| source.relation == relation);
        let mut columns = sources.flat_map(|source| &source.columns);
        columns.any(|found| found.id == column && found.used)
    }

    /// The table or view whose rows it gives.
    pub fn rows_of(&self) -> Option<TableId> {
        match &self.returns {
            FunctionResult::Row { of, .. } | FunctionResult::Rows { of, .. } => *of,
            _ => None,
        }
    }

    fn sources(&self) -> impl Iterator<Item = &ViewSource> {
        let sources = match &self.body {
            FunctionBody::Text(_) => &[][..],
            FunctionBody::Bound { sources, .. } => sources,
        };
        sources.iter()
    }
}

impl Catalog {
    /// The functions of that name, in order of creation.
    pub fn functions_named(&self, name: &str) -> impl Iterator<Item = &Arc<FunctionDef>> {
        let ids = self.function_names.get(name).into_iter().flatten();
        ids.filter_map(|id| self.functions.get(id))
    }

    /// The function of that id.
    pub fn function_by_id(&self, id: TableId) -> Option<&Arc<FunctionDef>> {
        self.functions.get(&id)
    }

    /// All functions, in order of creation.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<FunctionDef>> {
        self.functions.values()
    }

    /// Sets what a function is, as [`Self::set_table`] does for tables.
    ///
    /// # Errors
    /// `DuplicateRelation` where another one has its name and parameter types.
    pub fn set_function(&mut self, id: TableId, function: Option<Arc<FunctionDef>>) -> Result<()> {
        self.change_definitions();
        if let Some(function) = &function {
            let mut others = self.functions_named(&function.name);
            if others.any(|other| other.id != id && other.types().eq(function.types())) {
                return Err(Error::DuplicateRelation(function.name.clone()));
            }
        }
        if let Some(old) = self.functions.remove(&id)
            && let Some(ids) = self.function_names.get_mut(&old.name)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.function_names.remove(&old.name);
            }
        }
        if let Some(function) = function {
            let ids = self.function_names.entry(function.name.clone());
            let ids = ids.or_default();
            ids.push(id);
            ids.sort_unstable();
            self.functions.insert(id, function);
        }
        Ok(())
    }

    /// Whether what the body of a function names is there still, as it was.
    pub(super) fn has_all_of(&self, function: &FunctionDef) -> bool {
        let has_rows = function
            .rows_of()
            .is_none_or(|of| self.tables.contains_key(&of) || self.views.contains_key(&of));
        has_rows && function.sources().all(|source| source.stands_in(self))
    }

    /// The name of the function that a change leaves without what it is about, if there is one.
    pub(super) fn hanging_function(&self) -> Option<String> {
        let mut functions = self.functions.values();
        let hanging = functions.find(|function| !self.has_all_of(function));
        hanging.map(|function| function.name.clone())
    }
}

impl CatalogObject {
    /// The table that it is, if it is one.
    pub fn table(self) -> Option<TableId> {
        match self {
            Self::Table(id) => Some(id),
            Self::Sequence(_)
            | Self::View(_)
            | Self::Function(_)
            | Self::Type(_)
            | Self::Schema(_)
            | Self::Comment(_) => None,
        }
    }
}
