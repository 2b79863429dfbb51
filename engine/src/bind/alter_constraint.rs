//! ALTER TABLE and constraints: those that come, those that go, and those that rows are tested for.

use super::altered::Altered;
use super::deferral::deferral;
use super::foreign::{WrittenKey, check_key_types};
use super::index::Names;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{self, place, refuse};
use crate::plan::Statement;
use crate::plan::statement::{NewForeignKey, RowCheck};
use crate::plan::structure::{ComingKey, Step};
use remora_storage::ColumnId;
use remora_storage::catalog::{ColumnDef, ForeignKeyDef, IndexDef, IndexKind, Reference};
use sqlparser::ast;

/// Which constraints that come are NOT VALID, by the order in which they were written.
#[derive(Default)]
pub(super) struct Untested {
    pub(super) checks: Vec<usize>,
    pub(super) keys: Vec<usize>,
}

impl Altered<'_> {
    /// Has a foreign key go, and come as another of the same name, which rows are tested for.
    fn redefine(&mut self, key: ForeignKeyDef) {
        self.first(Step::DropForeignKey(self.entry.def.id, key.name.clone()));
        self.redefined.push(ComingKey {
            def: key,
            index: None,
        });
    }
}

impl<'a> Binder<'a> {
    pub(super) fn drop_constraint(
        &mut self,
        altered: &mut Altered<'a>,
        ident: &ast::Ident,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let name = name::fold(ident)?;
        let table = &mut altered.draft.table;
        if let Some(at) = table.checks.iter().position(|check| check.name == name) {
            table.checks.remove(at);
            return Ok(());
        }
        if table.foreign_keys.iter().any(|key| key.name == name) {
            altered.first(Step::DropForeignKey(altered.entry.def.id, name));
            return Ok(());
        }
        let mut kept = altered.kept().into_iter();
        let found = kept.find(|index| index.constraint.is_some() && index.name == name);
        if let Some(index) = found {
            let named = (index.id, index.name.as_str());
            let first = self.without_index(&altered.entry, named, cascade)?;
            first.into_iter().for_each(|step| altered.first(step));
            altered.drop_index(index.id);
            return Ok(());
        }
        if if_exists {
            return Ok(());
        }
        let table = &altered.draft.table.name;
        let message = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
        Err(Error::new(state::UNDEFINED_OBJECT, message).at(place(ident.span)))
    }

    /// The indexes of constraints that come, named.
    pub(super) fn added_indexes(&mut self, altered: &mut Altered<'a>) -> Result<Vec<Step>> {
        if altered.draft.primary.is_some() && altered.primary().is_some() {
            let table = &altered.entry.def.name;
            let message = format!("multiple primary keys for table \"{table}\" are not allowed");
            return Err(Error::new(state::INVALID_TABLE_DEFINITION, message));
        }
        let mut names = Names::new(self.catalog, &altered.draft.table);
        let gone = altered.entry.indexes.iter();
        for index in gone.filter(|index| altered.dropped.contains(&index.def.id)) {
            names.release(&index.def.name);
        }
        let kept = altered.kept().into_iter();
        for index in kept.filter(|index| index.constraint.is_some()) {
            names.claim_constraint(&index.name);
        }
        let added = self.complete(&mut altered.draft, &mut names)?;
        altered.fill_up();
        let table = altered.entry.def.id;
        let steps = added
            .into_iter()
            .map(|index| Step::CreateIndex(IndexDef { table, ..index }));
        Ok(steps.collect())
    }

    /// The checks that are asked for by number and name, over the columns of the altered table.
    pub(super) fn checks_to_test(
        &mut self,
        altered: &Altered<'a>,
        is_asked: impl Fn(usize, &str) -> bool,
    ) -> Result<Vec<RowCheck>> {
        let mut table = altered.draft.table.clone();
        // Values that stay in their columns were tested when they were written.
        let stays = |new: &ColumnDef| {
            let mut old = altered.entry.def.columns.iter();
            old.any(|old| old.id == new.id && old.domain == new.domain)
        };
        for column in &mut table.columns {
            if stays(column) {
                column.domain = None;
            }
        }
        let checks = std::mem::take(&mut table.checks).into_iter().enumerate();
        let asked = checks.filter(|(number, check)| is_asked(*number, &check.name));
        table.checks = asked.map(|(_, check)| check).collect();
        self.checks(&table, None)
    }

    /// The foreign keys that come; `after` has the indexes that come before them.
    pub(super) fn coming_keys(
        &self,
        altered: &Altered<'a>,
        after: &[Step],
        written: Vec<WrittenKey<'_>>,
    ) -> Result<Vec<ComingKey>> {
        let mut indexes = altered.kept();
        indexes.extend(after.iter().filter_map(|step| match step {
            Step::CreateIndex(index) => Some(index.clone()),
            _ => None,
        }));
        let made = self.foreign_keys(&altered.draft.table, &indexes, written)?;
        let made = made
            .into_iter()
            .map(|NewForeignKey { def, own_index }| ComingKey {
                index: own_index.map(|index| indexes[index].name.clone()),
                def,
            });
        Ok(made.collect())
    }

    /// Has rows be tested for a constraint.
    pub(super) fn validate_constraint(
        &self,
        altered: &mut Altered<'a>,
        ident: &ast::Ident,
    ) -> Result<()> {
        let name = name::fold(ident)?;
        let (table, at) = (&altered.draft.table, place(ident.span));
        let mut indexes = altered.entry.indexes.iter();
        if indexes.any(|index| index.def.constraint.is_some() && index.def.name == name) {
            let table = &table.name;
            let message = format!(
                "constraint \"{name}\" of relation \"{table}\" is not a foreign key or check constraint"
            );
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let mut keys = table.foreign_keys.iter();
        if let Some(key) = keys.find(|key| key.name == name) {
            if key.not_valid {
                let valid = ForeignKeyDef {
                    not_valid: false,
                    ..key.clone()
                };
                altered.redefine(valid);
            }
            return Ok(());
        }
        if altered.tests_added(&name) {
            return Ok(());
        }
        let mut checks = altered.draft.table.checks.iter_mut();
        let Some(check) = checks.find(|check| check.name == name) else {
            let table = &altered.draft.table.name;
            let message = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
            return Err(Error::new(state::UNDEFINED_OBJECT, message).at(at));
        };
        if std::mem::take(&mut check.not_valid) {
            altered.validated.push(name);
        }
        Ok(())
    }

    /// Has the foreign keys come again, tested, that a column is part of whose type is another now.
    pub(super) fn retype_keys(
        &self,
        altered: &mut Altered<'a>,
        column: ColumnId,
        at: Option<Position>,
    ) -> Result<()> {
        let table = altered.entry.def.id;
        let own = altered.draft.table.foreign_keys.iter();
        let own = own.filter(|key| {
            key.columns.contains(&column) || {
                key.parent == table && key.referenced.contains(&column)
            }
        });
        let own: Vec<ForeignKeyDef> = own.cloned().collect();
        for key in own {
            let parent = match key.parent == table {
                true => &altered.draft.table,
                false => match self.catalog.table_by_id(key.parent) {
                    Some(parent) => &parent.def,
                    None => continue,
                },
            };
            check_key_types(&altered.draft.table, parent, &key, at)?;
            altered.redefine(key);
        }
        let others = altered.entry.references.iter();
        let others = others.filter(|other| other.child != table);
        let others = others.filter(|other| other.key.referenced.contains(&column));
        let others: Vec<Reference> = others.cloned().collect();
        for Reference { child, key } in others {
            if let Some(child) = self.catalog.table_by_id(child) {
                check_key_types(&child.def, &altered.draft.table, &key, at)?;
            }
            altered.first(Step::DropForeignKey(child, key.name.clone()));
            let again = Step::AddForeignKey(child, key.clone());
            if !altered.after.contains(&again) {
                altered.after.push(again);
                if !key.not_valid {
                    altered.retested.push((child, key.name));
                }
            }
        }
        Ok(())
    }

    /// Makes an index that is there a constraint's. It is built anew, under the constraint's name.
    pub(super) fn constraint_using_index(
        &mut self,
        altered: &mut Altered<'a>,
        syntax: &'a ast::ConstraintUsingIndex,
        is_primary: bool,
    ) -> Result<()> {
        let (wanted, at) = (
            name::fold(&syntax.index_name)?,
            place(syntax.index_name.span),
        );
        let table = altered.entry.def.name.clone();
        let indexes = altered.kept().into_iter();
        let Some(index) = indexes.into_iter().find(|index| index.name == wanted) else {
            let located = (altered.entry.def.schema, wanted.as_str());
            if self.catalog.index(located).is_some() {
                let message = format!("index \"{wanted}\" does not belong to table \"{table}\"");
                return Err(Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message).at(at));
            }
            return Err(sql_error!(UNDEFINED_OBJECT, "index \"{wanted}\" does not exist").at(at));
        };
        if index.constraint.is_some() {
            let message = format!("index \"{wanted}\" is already associated with a constraint");
            return Err(Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message).at(at));
        }
        let hidden = altered
            .draft
            .table
            .columns
            .iter()
            .filter(|column| column.is_hidden());
        let hidden: Vec<ColumnId> = hidden.map(|column| column.id).collect();
        let mut keys = index.columns.iter().skip(usize::from(index.partial));
        let what = match () {
            () if !index.unique => Some(format!("\"{wanted}\" is not a unique index")),
            () if keys.any(|key| hidden.contains(&key.column)) => {
                Some(format!("index \"{wanted}\" contains expressions"))
            }
            () if index.partial => Some(format!("\"{wanted}\" is a partial index")),
            () if index.kind != IndexKind::Ordered => {
                let message = format!("index \"{wanted}\" is not a btree");
                return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
            }
            () => index.columns.iter().position(|key| key.descending || key.nulls_first).map(|at| {
                let at = at + 1;
                format!("index \"{wanted}\" column number {at} does not have default sorting behavior")
            }),
        };
        if let Some(message) = what {
            let detail = "Cannot create a primary key or unique constraint using such an index.";
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message)
                .with_detail(detail)
                .at(at));
        }
        let mut references = altered.entry.references.iter();
        if references.any(|reference| reference.key.index == index.id) {
            return refuse(
                "a constraint using an index that a foreign key refers by",
                at,
            );
        }
        let name = syntax.name.as_ref().map(name::fold).transpose()?;
        let deferral = deferral(syntax.characteristics.as_ref(), at)?;
        altered.drop_index(index.id);
        let name = Some(name.unwrap_or(wanted));
        match is_primary {
            true => {
                altered.draft.add_primary(name, index.columns, at)?;
                altered.draft.defer_primary(deferral);
            }
            false => {
                altered.draft.add_unique(name, index.columns);
                altered.draft.defer_unique(deferral);
                if let Some(made) = altered.draft.indexes.last_mut() {
                    made.nulls_not_distinct = index.nulls_not_distinct;
                }
            }
        }
        Ok(())
    }

    /// Binds an ALTER TABLE .. ALTER CONSTRAINT.
    pub(super) fn alter_constraint(&self, alter: &parse::AlterConstraint) -> Result<Statement> {
        let at = name::object_place(&alter.table);
        let relation = match alter.if_exists {
            true => self.relation(&alter.table)?,
            false => self.relation_there(&alter.table)?,
        };
        if alter.if_exists && !self.relation_exists(&relation) {
            return Ok(Statement::Structure(Vec::new()));
        }
        let entry = self.table(&relation, at)?;
        let (table, wanted) = (&entry.def, name::fold(&alter.name)?);
        let deferral = deferral(Some(&alter.characteristics), at)?;
        let mut keys = table.foreign_keys.iter();
        if let Some(key) = keys.find(|key| key.name == wanted) {
            let key = ForeignKeyDef {
                deferral,
                ..key.clone()
            };
            let drop = Step::DropForeignKey(table.id, wanted);
            return Ok(Statement::Structure(vec![
                drop,
                Step::AddForeignKey(table.id, key),
            ]));
        }
        let constraints = entry.indexes.iter().filter(|i| i.def.constraint.is_some());
        let mut named = constraints.map(|index| index.def.name.as_str());
        let mut checks = table.checks.iter().map(|check| check.name.as_str());
        let is_other = named.any(|name| name == wanted) || checks.any(|name| name == wanted);
        let at = place(alter.name.span);
        let table = &table.name;
        if is_other {
            let message = format!(
                "constraint \"{wanted}\" of relation \"{table}\" is not a foreign key constraint"
            );
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let message = format!("constraint \"{wanted}\" of relation \"{table}\" does not exist");
        Err(Error::new(state::UNDEFINED_OBJECT, message).at(at))
    }
}
