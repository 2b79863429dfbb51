//! LIKE in CREATE TABLE: the columns of another table or view, and what else is taken over.

use super::draft::Draft;
use super::sequence::Numbered;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{self, Like, Named, SequenceOptions};
use remora_storage::ColumnId;
use remora_storage::catalog::{
    CheckDef, ColumnDef, Constraint, IndexColumn, IndexDef, SequenceDef, TableEntry,
};
use sqlparser::ast;

impl<'a> Binder<'a> {
    /// Adds what LIKE stands for.
    ///
    /// # Errors
    /// 42P01, 42809, and those of the columns.
    pub(super) fn add_like(&mut self, draft: &mut Draft<'a>, like: &Like) -> Result<()> {
        let at = name::object_place(&like.name);
        let relation = self.relation_there(&like.name)?;
        if let Some(view) = self.catalog.view(&relation) {
            for column in &view.columns {
                draft.push_column(&column.name, column.data_type, at)?;
            }
            return Ok(());
        }
        if self.catalog.table(&relation).is_none() && self.catalog.has_name(&relation) {
            let kind = match self.kind_of(&relation) {
                "SEQUENCE" => "sequences",
                _ => "indexes",
            };
            let message = format!("relation \"{}\" is invalid in LIKE clause", relation.name());
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message)
                .with_detail(format!("This operation is not supported for {kind}."))
                .at(at));
        }
        let entry = self.table(&relation, at)?;
        let mut ids = Vec::with_capacity(entry.def.columns.len());
        for (_, column) in entry.def.listed() {
            let position = draft.push_column(&column.name, column.data_type, at)?;
            ids.push((column.id, draft.table.columns[position].id));
            self.like_column(draft, (position, column), (&entry, like))?;
        }
        if like.including.constraints {
            for check in &entry.def.checks {
                let expression = of_table(&check.expression, relation.name(), &draft.table.name)?;
                let name = check.name.clone();
                if draft.table.checks.iter().any(|other| other.name == name) {
                    return Err(super::table::taken_constraint(&name, &draft.table.name).at(at));
                }
                draft.table.checks.push(CheckDef {
                    name,
                    expression,
                    not_valid: false,
                });
            }
        }
        if like.including.indexes {
            for column in entry.def.columns.iter().filter(|column| column.is_hidden()) {
                let position = draft.push_column("", column.data_type, at)?;
                let new_table = draft.table.name.clone();
                let hidden = &mut draft.table.columns[position];
                ids.push((column.id, hidden.id));
                if let Some(text) = &column.generated {
                    hidden.generated = Some(of_table(text, relation.name(), &new_table)?);
                }
            }
            for index in &entry.indexes {
                like_index(draft, &index.def, &ids, at)?;
            }
        }
        Ok(())
    }

    /// Gives a column what is taken over of the one that it is like.
    fn like_column(
        &self,
        draft: &mut Draft<'a>,
        (position, like): (usize, &ColumnDef),
        (entry, clause): (&TableEntry, &Like),
    ) -> Result<()> {
        let new_table = draft.table.name.clone();
        let column = &mut draft.table.columns[position];
        column.not_null = like.not_null;
        column.collation = like.collation;
        if let Some(generated) = &like.generated
            && clause.including.generated
        {
            column.generated = Some(of_table(generated, &entry.def.name, &new_table)?);
        }
        match like.identity {
            None if clause.including.defaults => {
                column.default.clone_from(&like.default);
                column.sequences.clone_from(&like.sequences);
            }
            Some(kind) if clause.including.identity => {
                let own = like.sequences.first();
                let own = own.and_then(|id| self.catalog.sequence_by_id(*id));
                let options = own.map_or_else(SequenceOptions::default, |own| options(&own.def));
                draft
                    .numbered
                    .push((position, Numbered::Identity(kind, Box::new(options))));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The same index of a table with other columns.
fn like_index(
    draft: &mut Draft<'_>,
    index: &IndexDef,
    ids: &[(ColumnId, ColumnId)],
    at: Option<Position>,
) -> Result<()> {
    let columns = index.columns.iter().map(|part| {
        let found = ids.iter().find(|(old, _)| *old == part.column);
        let column = found.map_or(part.column, |(_, new)| *new);
        IndexColumn { column, ..*part }
    });
    let same = IndexDef {
        id: Default::default(),
        table: Default::default(),
        name: String::new(),
        columns: columns.collect(),
        ..index.clone()
    };
    match index.constraint {
        Some(Constraint::PrimaryKey) => draft.add_primary(None, same.columns, at),
        Some(Constraint::Unique) | None => {
            draft.indexes.push(same);
            Ok(())
        }
    }
}

/// A text about a table's columns, said of another table.
fn of_table(text: &str, old: &str, new: &str) -> Result<String> {
    parse::rename(text, Named::Table, |ident| {
        let is_old = name::fold(ident).is_ok_and(|name| name == old);
        is_old.then(|| ast::Ident::with_quote('"', new))
    })
}

/// The options that make a sequence like this one.
fn options(def: &SequenceDef) -> SequenceOptions {
    SequenceOptions {
        increment: Some(def.rule.increment),
        min: Some(Some(def.rule.min)),
        max: Some(Some(def.rule.max)),
        start: Some(def.start),
        cache: Some(def.cache),
        cycle: Some(def.rule.cycle),
        ..SequenceOptions::default()
    }
}
