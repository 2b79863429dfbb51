//! Triggers: statements that follow from changes of a table's rows, as text.
//!
//! Storage does not read the text. A trigger is part of the definition of its table or view, and goes with it; to
//! make or change one is to define the table otherwise. Beside the text stands what the names of the table's own
//! columns in it meant when it was made, so that it means the same whatever they are called later.

use super::view::SourceColumn;
use crate::ids::ColumnId;
use serde::{Deserialize, Serialize};

/// A trigger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerDef {
    /// Its name, which no other trigger of the table has.
    pub name: String,
    /// When it fires.
    pub timing: TriggerTiming,
    /// At what.
    pub events: Vec<TriggerEvent>,
    /// Of UPDATE: only where one of these is set; none of them means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<ColumnId>,
    /// Whether it fires once for each row, and not once for the statement.
    pub for_each_row: bool,
    /// What its body calls the rows as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_table: Option<String>,
    /// What its body calls the rows as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_table: Option<String>,
    /// It fires only where this is true: SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Its statements, as SQL text.
    pub body: String,
    /// The columns of the table when it was made, and whether the texts name them.
    pub columns: Vec<SourceColumn>,
    /// Whether it does not fire at all for now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// When a trigger fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TriggerTiming {
    /// Before the row or the statement.
    Before,
    /// After the statement.
    After,
    /// For a row of a view, in place of a change.
    InsteadOf,
}

/// At what a trigger fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TriggerEvent {
    /// INSERT
    Insert,
    /// DELETE
    Delete,
    /// UPDATE
    Update,
    /// TRUNCATE
    Truncate,
}

impl TriggerDef {
    /// Whether it is about a column: it fires where that is set, or its texts name it.
    pub fn uses(&self, column: ColumnId) -> bool {
        let mut named = self.columns.iter();
        self.of.contains(&column) || named.any(|named| named.id == column && named.used)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_false(flag: &bool) -> bool {
    !*flag
}
