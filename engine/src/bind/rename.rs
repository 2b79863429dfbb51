//! RENAME of tables, indexes, views, columns and constraints.
//!
//! Plans and views name things by id, so that only text is rewritten that the catalog holds about a table: its
//! checks, and what its columns are computed from. Both texts are bound and must mean the same.

use super::alter::column_exists;
use super::check::positions;
use super::scope::Scope;
use super::storage_parameter::ttl::refuse_column;
use super::table::taken_constraint;
use super::{Binder, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::function::{Located, quoted};
use crate::parse::{self, Named, parse_expression, place, refuse};
use crate::plan::structure::{AlterTable, AlteredRows, Step, Tests};
use crate::plan::{Expr, Statement};
use remora_storage::DataType;
use remora_storage::catalog::{Catalog, ForeignKeyDef, TableDef, ViewDef};
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
            &self.relation_there(index)?,
            index_name,
            name::object_place(index),
        )
    }

    /// Binds an action that renames something; `None` where it does something else.
    pub(super) fn rename(
        &mut self,
        relation: &Located,
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
        old: &Located,
        new: &ast::ObjectName,
        at: Option<Position>,
    ) -> Result<Statement> {
        let new_at = name::object_place(new);
        let new = name::single(new)?;
        if let Some(sequence) = self.catalog.sequence(old) {
            self.refuse_taken(old.schema, &new, new_at)?;
            return Ok(Statement::RenameSequence(Some((sequence.def.id, new))));
        }
        let step = if let Some((_, index)) = self.catalog.index(old) {
            Step::RenameIndex(index.def.id, new.clone())
        } else if let Some(view) = self.catalog.view(old) {
            Step::AlterView(ViewDef {
                name: new.clone(),
                ..ViewDef::clone(view)
            })
        } else {
            let entry = self.table(old, at)?;
            self.refuse_taken(old.schema, &new, new_at)?;
            let mut def = entry.def.clone();
            def.name.clone_from(&new);
            let names = (old.name(), new.as_str());
            let def = with_checks(self.catalog, &entry.def, def, Named::Table, names)?;
            return Ok(redefined(def));
        };
        self.refuse_taken(old.schema, &new, new_at)?;
        Ok(Statement::Structure(vec![step]))
    }

    fn rename_column(
        &mut self,
        relation: &Located,
        (old, new): (&Ident, &Ident),
        at: Option<Position>,
    ) -> Result<Statement> {
        let (old_at, new_at) = (place(old.span), place(new.span));
        let (old, new) = (name::fold(old)?, name::fold(new)?);
        let missing = || sql_error!(UNDEFINED_COLUMN, "column \"{old}\" does not exist").at(old_at);
        if let Some(view) = self.catalog.view(relation) {
            let mut view = ViewDef::clone(view);
            let mut names = view.columns.iter_mut().map(|column| &mut column.name);
            let position = names.position(|name| *name == old).ok_or_else(missing)?;
            if view.columns.iter().any(|column| column.name == new) {
                return Err(column_exists(&new, relation.name()).at(new_at));
            }
            view.columns[position].name = new;
            return Ok(Statement::Structure(vec![Step::AlterView(view)]));
        }
        if self.catalog.index(relation).is_some() {
            return refuse("a name for a column of an index", at);
        }
        let entry = self.table(relation, at)?;
        let (position, column) = entry.def.column(&old).ok_or_else(missing)?;
        refuse_column(&entry.def, column.id, old_at)?;
        if entry.def.column(&new).is_some() {
            return Err(column_exists(&new, relation.name()).at(new_at));
        }
        let mut def = entry.def.clone();
        def.columns[position].name.clone_from(&new);
        let names = (old.as_str(), new.as_str());
        let def = with_checks(self.catalog, &entry.def, def, Named::Column, names)?;
        Ok(redefined(def))
    }

    fn rename_constraint(
        &mut self,
        relation: &Located,
        (old, new): (&Ident, &Ident),
        at: Option<Position>,
    ) -> Result<Statement> {
        let (old_at, new_at) = (place(old.span), place(new.span));
        let (old, new) = (name::fold(old)?, name::fold(new)?);
        let entry = self.table(relation, at)?;
        let mut def = entry.def.clone();
        let mut constraints = entry.indexes.iter().filter(|i| i.def.constraint.is_some());
        let is_taken = def.checks.iter().any(|check| check.name == new)
            || def.foreign_keys.iter().any(|key| key.name == new)
            || constraints.clone().any(|index| index.def.name == new);
        if let Some(key) = def.foreign_keys.iter().find(|key| key.name == old) {
            if is_taken {
                return Err(taken_constraint(&new, &def.name).at(new_at));
            }
            let renamed = ForeignKeyDef {
                name: new,
                ..key.clone()
            };
            return Ok(Statement::Structure(vec![
                Step::DropForeignKey(def.id, old),
                Step::AddForeignKey(def.id, renamed),
            ]));
        }
        if let Some(check) = def.checks.iter_mut().find(|check| check.name == old) {
            if is_taken {
                return Err(taken_constraint(&new, &entry.def.name).at(new_at));
            }
            check.name = new;
            return Ok(redefined(def));
        }
        let Some(index) = constraints.find(|index| index.def.name == old) else {
            let table = relation.name();
            let message = format!("constraint \"{old}\" for table \"{table}\" does not exist");
            return Err(Error::new(state::UNDEFINED_OBJECT, message).at(old_at));
        };
        if is_taken {
            return Err(taken_constraint(&new, &entry.def.name).at(new_at));
        }
        self.refuse_taken(relation.schema, &new, new_at)?;
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
        foreign_keys: Vec::new(),
        validated: Vec::new(),
        numbered: Vec::new(),
    }))
}

/// The same table with its texts rewritten for another name of it, or of a column.
fn with_checks(
    catalog: &Catalog,
    table: &TableDef,
    mut renamed: TableDef,
    named: Named,
    (old, new): (&str, &str),
) -> Result<TableDef> {
    let scopes = [table, &renamed].map(|def| positions(&def.name, &def.columns));
    let renamed_text = |text: &str, clause: Clause| -> Result<Option<String>> {
        let other = |ident: &Ident| {
            let is_old = name::fold(ident).is_ok_and(|name| name == old);
            is_old.then(|| written(new))
        };
        let other_text = parse::rename(text, named, other)?;
        let means = |text: &str, scope: &Scope| {
            bind_text(catalog, &parse_expression(text).ok()?, scope, clause).ok()
        };
        let meant = means(text, &scopes[0]).zip(means(&other_text, &scopes[1]));
        let is_same = meant.is_some_and(|(before, after)| before.same(&after));
        Ok(is_same.then_some(other_text))
    };
    for check in &mut renamed.checks {
        let Some(text) = renamed_text(&check.expression, Clause::Check)? else {
            let name = &check.name;
            return refuse(
                &format!("a new name for what check constraint \"{name}\" names"),
                None,
            );
        };
        check.expression = text;
    }
    for column in &mut renamed.columns {
        let Some(generated) = &mut column.generated else {
            continue;
        };
        let Some(text) = renamed_text(generated, Clause::Generated)? else {
            let name = &column.name;
            return refuse(
                &format!("a new name for what column \"{name}\" is computed from"),
                None,
            );
        };
        *generated = text;
    }
    Ok(renamed)
}

/// What a text means that is evaluated over a table's columns.
fn bind_text(catalog: &Catalog, syntax: &ast::Expr, scope: &Scope, clause: Clause) -> Result<Expr> {
    let mut binder = Binder::new(catalog);
    let bound = binder.expr(syntax, &mut Context::new(scope, clause))?;
    let data_type = bound.data_type().unwrap_or(DataType::Text);
    binder.coerce(bound, data_type)
}

/// A name as it has to be written.
pub(super) fn written(name: &str) -> Ident {
    match quoted(name) == name {
        true => Ident::new(name),
        false => Ident::with_quote('"', name),
    }
}
