//! RENAME of tables, indexes, views, columns and constraints.
//!
//! Plans and views name things by id, so that only text is rewritten that the catalog holds about a table: its
//! checks. Both texts are bound and must mean the same.

use super::alter::column_exists;
use super::check::{bind_check, positions};
use super::table::taken_constraint;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{self, Named, parse_expression, place, refuse};
use crate::plan::Statement;
use crate::plan::structure::{AlterTable, AlteredRows, Step, Tests};
use remora_storage::catalog::{Catalog, TableDef, ViewDef};
use sqlparser::ast::{self, AlterTableOperation, Ident, RenameTableNameKind};

impl Binder<'_> {
    /// Binds an ALTER INDEX.
    pub(super) fn alter_index(
        &mut self,
        index: &ast::ObjectName,
        operation: &ast::AlterIndexOperation,
    ) -> Result<Statement> {
        let ast::AlterIndexOperation::RenameIndex { index_name } = operation;
        self.rename_relation(
            &name::relation(index)?,
            index_name,
            name::object_place(index),
        )
    }

    /// Binds an action that renames something; `None` where it does something else.
    pub(super) fn rename(
        &mut self,
        relation: &str,
        operation: &AlterTableOperation,
        at: Option<Position>,
    ) -> Result<Option<Statement>> {
        use AlterTableOperation as O;
        match operation {
            O::RenameTable {
                table_name: RenameTableNameKind::To(new),
            } => self.rename_relation(relation, new, at).map(Some),
            O::RenameColumn {
                old_column_name,
                new_column_name,
            } => {
                let names = (old_column_name, new_column_name);
                self.rename_column(relation, names, at).map(Some)
            }
            O::RenameConstraint { old_name, new_name } => {
                let names = (old_name, new_name);
                self.rename_constraint(relation, names, at).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn rename_relation(
        &mut self,
        old: &str,
        new: &ast::ObjectName,
        at: Option<Position>,
    ) -> Result<Statement> {
        let new_at = name::object_place(new);
        let new = name::relation(new)?;
        let step = if let Some((_, index)) = self.catalog.index(old) {
            Step::RenameIndex(index.def.id, new.clone())
        } else if let Some(view) = self.catalog.view(old) {
            Step::AlterView(ViewDef {
                name: new.clone(),
                ..ViewDef::clone(view)
            })
        } else {
            let entry = self.table(old, at)?;
            self.refuse_taken(&new, new_at)?;
            let mut def = entry.def.clone();
            def.name.clone_from(&new);
            let names = (old, new.as_str());
            let def = with_checks(self.catalog, &entry.def, def, Named::Table, names)?;
            return Ok(redefined(def));
        };
        self.refuse_taken(&new, new_at)?;
        Ok(Statement::Structure(vec![step]))
    }

    fn refuse_taken(&self, name: &str, at: Option<Position>) -> Result<()> {
        if !self.relation_exists(name) {
            return Ok(());
        }
        let message = format!("relation \"{name}\" already exists");
        Err(Error::new(state::DUPLICATE_TABLE, message).at(at))
    }

    fn rename_column(
        &mut self,
        relation: &str,
        (old, new): (&Ident, &Ident),
        at: Option<Position>,
    ) -> Result<Statement> {
        let (old_at, new_at) = (place(old.span), place(new.span));
        let (old, new) = (name::fold(old)?, name::fold(new)?);
        let missing = || {
            let message = format!("column \"{old}\" does not exist");
            Error::new(state::UNDEFINED_COLUMN, message).at(old_at)
        };
        if let Some(view) = self.catalog.view(relation) {
            let mut view = ViewDef::clone(view);
            let mut names = view.columns.iter_mut().map(|column| &mut column.name);
            let position = names.position(|name| *name == old).ok_or_else(missing)?;
            if view.columns.iter().any(|column| column.name == new) {
                return Err(column_exists(&new, relation).at(new_at));
            }
            view.columns[position].name = new;
            return Ok(Statement::Structure(vec![Step::AlterView(view)]));
        }
        if self.catalog.index(relation).is_some() {
            return refuse("a name for a column of an index", at);
        }
        let entry = self.table(relation, at)?;
        let (position, _) = entry.def.column(&old).ok_or_else(missing)?;
        if entry.def.column(&new).is_some() {
            return Err(column_exists(&new, relation).at(new_at));
        }
        let mut def = entry.def.clone();
        def.columns[position].name.clone_from(&new);
        let names = (old.as_str(), new.as_str());
        let def = with_checks(self.catalog, &entry.def, def, Named::Column, names)?;
        Ok(redefined(def))
    }

    fn rename_constraint(
        &mut self,
        relation: &str,
        (old, new): (&Ident, &Ident),
        at: Option<Position>,
    ) -> Result<Statement> {
        let (old_at, new_at) = (place(old.span), place(new.span));
        let (old, new) = (name::fold(old)?, name::fold(new)?);
        let entry = self.table(relation, at)?;
        let mut def = entry.def.clone();
        let mut constraints = entry.indexes.iter().filter(|i| i.def.constraint.is_some());
        let is_taken = def.checks.iter().any(|check| check.name == new)
            || constraints.clone().any(|index| index.def.name == new);
        if let Some(check) = def.checks.iter_mut().find(|check| check.name == old) {
            if is_taken {
                return Err(taken_constraint(&new, &entry.def).at(new_at));
            }
            check.name = new;
            return Ok(redefined(def));
        }
        let Some(index) = constraints.find(|index| index.def.name == old) else {
            let message = format!("constraint \"{old}\" for table \"{relation}\" does not exist");
            return Err(Error::new(state::UNDEFINED_OBJECT, message).at(old_at));
        };
        if is_taken {
            return Err(taken_constraint(&new, &entry.def).at(new_at));
        }
        self.refuse_taken(&new, new_at)?;
        let step = Step::RenameIndex(index.def.id, new);
        Ok(Statement::Structure(vec![step]))
    }
}

fn redefined(def: TableDef) -> Statement {
    Statement::AlterTable(Box::new(AlterTable {
        before: Vec::new(),
        def,
        rows: AlteredRows::Left,
        tests: Tests::default(),
        after: Vec::new(),
    }))
}

/// The same table with its checks rewritten for another name of it, or of a column.
fn with_checks(
    catalog: &Catalog,
    table: &TableDef,
    mut renamed: TableDef,
    named: Named,
    (old, new): (&str, &str),
) -> Result<TableDef> {
    let scopes = [table, &renamed].map(|def| positions(&def.name, &def.columns));
    for check in &mut renamed.checks {
        let other = |ident: &Ident| {
            let is_old = name::fold(ident).is_ok_and(|name| name == old);
            is_old.then(|| written(new))
        };
        let text = parse::rename(&check.expression, named, other)?;
        let texts = [&check.expression, &text];
        let meant = texts
            .iter()
            .zip(&scopes)
            .map(|(text, scope)| bind_check(catalog, &parse_expression(text)?, scope));
        match meant.collect::<Vec<_>>().as_slice() {
            [Ok(before), Ok(after)] if before.same(after) => check.expression = text,
            _ => {
                let what = format!(
                    "a new name for what check constraint \"{}\" names",
                    check.name
                );
                return refuse(&what, None);
            }
        }
    }
    Ok(renamed)
}

/// A name as it has to be written.
fn written(name: &str) -> Ident {
    let plain = Ident::new(name);
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match is_word && name::fold(&plain).is_ok_and(|folded| folded == name) {
        true => plain,
        false => Ident::with_quote('"', name),
    }
}
