//! Comments: texts that say what things are for. The catalog keeps them beside the definitions, so that to
//! comment changes nothing of what is commented.
//!
//! Invariant: what has a comment exists. Who takes something away takes its comment along
//! ([`Catalog::forget_comments`]).

use super::Catalog;
use crate::ids::{ColumnId, IndexId, SchemaId, SequenceId, TableId, TypeId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a comment is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Commented {
    /// A table or view.
    Table(TableId),
    /// A column of a table; of a view, its position.
    Column(TableId, ColumnId),
    /// An index.
    Index(IndexId),
    /// A sequence.
    Sequence(SequenceId),
    /// A schema.
    Schema(SchemaId),
    /// A type.
    Type(TypeId),
}

/// A comment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommentDef {
    /// On what.
    pub on: Commented,
    /// The text.
    pub text: String,
}

impl Catalog {
    /// The comment on something.
    pub fn comment(&self, on: Commented) -> Option<&Arc<str>> {
        self.comments.get(&on)
    }

    /// All comments.
    pub fn comments(&self) -> impl Iterator<Item = (Commented, &Arc<str>)> {
        self.comments.iter().map(|(on, text)| (*on, text))
    }

    /// Sets what is said of something that is there; of what is not, nothing is.
    pub fn set_comment(&mut self, on: Commented, text: Option<Arc<str>>) {
        match text.filter(|_| self.schema_of(on).is_some()) {
            Some(text) => drop(self.comments.insert(on, text)),
            None => drop(self.comments.remove(&on)),
        }
    }

    /// In which schema something is that a comment can be about; of a schema, itself.
    pub fn schema_of(&self, on: Commented) -> Option<SchemaId> {
        match on {
            Commented::Table(id) => match self.tables.get(&id) {
                Some(table) => Some(table.def.schema),
                None => self.views.get(&id).map(|view| view.schema),
            },
            Commented::Column(id, column) => match self.tables.get(&id) {
                Some(table) => table.def.position(column).map(|_| table.def.schema),
                None => {
                    let view = self.views.get(&id)?;
                    let has = (column.0 as usize) < view.columns.len();
                    has.then_some(view.schema)
                }
            },
            Commented::Index(id) => self.index_by_id(id).map(|(table, _)| table.def.schema),
            Commented::Sequence(id) => self.sequences.get(&id).map(|entry| entry.def.schema),
            Commented::Type(id) => self.type_by_id(id).map(|def| def.schema),
            Commented::Schema(id) => self.has_schema(id).then_some(id),
        }
    }

    /// Drops the comments on what is gone.
    pub(super) fn forget_comments(&mut self) {
        if self.comments.is_empty() {
            return;
        }
        let mut comments = std::mem::take(&mut self.comments);
        comments.retain(|on, _| self.schema_of(*on).is_some());
        self.comments = comments;
    }
}
