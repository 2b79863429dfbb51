//! FOREIGN KEY and REFERENCES: what refers to what, by which unique index.

use super::check::column_type;
use super::index::Names;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::KeyCast;
use crate::parse::{place, refuse};
use crate::plan::statement::NewForeignKey;
use remora_storage::catalog::{
    Constraint, ForeignAction, ForeignKeyDef, IndexDef, Reference, TableDef,
};
use remora_storage::{ColumnId, IndexId};
use sqlparser::ast;

/// A foreign key as it was written.
pub(super) struct WrittenKey<'n> {
    /// The name given.
    pub name: Option<String>,
    /// The columns that refer.
    pub columns: Vec<&'n ast::Ident>,
    /// The rest of it.
    pub syntax: &'n ast::ForeignKeyConstraint,
}

/// What is referred to: a table of the catalog, or the one that is being made.
struct Parent<'c> {
    table: &'c TableDef,
    indexes: Vec<&'c IndexDef>,
}

impl Binder<'_> {
    /// The foreign keys of `table`, whose indexes are to be these.
    pub(super) fn foreign_keys(
        &self,
        table: &TableDef,
        indexes: &[IndexDef],
        written: Vec<WrittenKey<'_>>,
    ) -> Result<Vec<NewForeignKey>> {
        let mut made: Vec<NewForeignKey> = Vec::with_capacity(written.len());
        for key in written {
            let checks = table.checks.iter().map(|check| check.name.as_str());
            let keys = table.foreign_keys.iter().map(|key| key.name.as_str());
            let indexes_named = indexes.iter().map(|index| index.name.as_str());
            let made_named = made.iter().map(|key| key.def.name.as_str());
            let taken = checks.chain(keys).chain(indexes_named).chain(made_named);
            let taken: Vec<&str> = taken.collect();
            made.push(self.foreign_key(table, indexes, key, &taken)?);
        }
        Ok(made)
    }

    /// `taken` are the names of the other constraints of the table.
    fn foreign_key(
        &self,
        table: &TableDef,
        indexes: &[IndexDef],
        written: WrittenKey<'_>,
        taken: &[&str],
    ) -> Result<NewForeignKey> {
        let syntax = written.syntax;
        let at = name::object_place(&syntax.foreign_table);
        let full = refuse_clauses(syntax, at)?;
        let parent = self.parent(table, indexes, syntax)?;
        let named = |ident: &ast::Ident, table: &TableDef| key_column(table, ident);
        let columns = written.columns.iter().map(|ident| named(ident, table));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let referenced = match syntax.referred_columns.as_slice() {
            [] => primary_key(&parent, at)?,
            named_there => {
                let columns = named_there.iter().map(|ident| named(ident, parent.table));
                columns.collect::<Result<Vec<_>>>()?
            }
        };
        let index = unique_index(&parent, &columns, &referenced, at)?;
        let key_name = match written.name {
            Some(given) if taken.contains(&given.as_str()) => {
                let message = format!(
                    "constraint \"{given}\" for relation \"{}\" already exists",
                    table.name
                );
                return Err(Error::new(state::DUPLICATE_OBJECT, message));
            }
            Some(given) => given,
            None => Names::new(self.catalog, table).foreign_key(&columns, taken),
        };
        check_types(
            &key_name,
            (table, &columns),
            (parent.table, &referenced),
            at,
        )?;
        // Those that come with the key have no ids yet.
        let is_new = parent.indexes[index].id == IndexId::default();
        let own_index = is_new.then_some(index);
        let def = ForeignKeyDef {
            name: key_name,
            columns,
            parent: parent.table.id,
            referenced,
            index: parent.indexes[index].id,
            full,
            on_delete: action(syntax.on_delete),
            on_update: action(syntax.on_update),
        };
        Ok(NewForeignKey { def, own_index })
    }

    /// A foreign key as complaints about what it needs name it.
    pub(super) fn dependence(&self, reference: &Reference, on: &str) -> String {
        let child = self.catalog.table_by_id(reference.child);
        let child = child.map_or("", |child| child.def.name.as_str());
        format!(
            "constraint {} on table {child} depends on {on}",
            reference.key.name
        )
    }

    fn parent<'c>(
        &'c self,
        table: &'c TableDef,
        indexes: &'c [IndexDef],
        syntax: &ast::ForeignKeyConstraint,
    ) -> Result<Parent<'c>> {
        let at = name::object_place(&syntax.foreign_table);
        let parent = name::relation(&syntax.foreign_table)?;
        if parent == table.name {
            return Ok(Parent {
                table,
                indexes: indexes.iter().collect(),
            });
        }
        match self.catalog.table(&parent) {
            Some(entry) => Ok(Parent {
                table: &entry.def,
                indexes: entry.indexes.iter().map(|index| &index.def).collect(),
            }),
            None if self.relation_exists(&parent) => Err(Error::new(
                state::WRONG_OBJECT_TYPE,
                format!("referenced relation \"{parent}\" is not a table"),
            )
            .at(at)),
            None => Err(Error::new(
                state::UNDEFINED_TABLE,
                format!("relation \"{parent}\" does not exist"),
            )
            .at(at)),
        }
    }
}

/// Says whether a key is to match in full.
fn refuse_clauses(syntax: &ast::ForeignKeyConstraint, at: Option<Position>) -> Result<bool> {
    if let Some(characteristics) = &syntax.characteristics {
        let deferred = characteristics.initially == Some(ast::DeferrableInitial::Deferred);
        if deferred || characteristics.deferrable == Some(true) {
            return refuse("a DEFERRABLE foreign key", at);
        }
        if characteristics.enforced == Some(false) {
            return refuse("a foreign key that is NOT ENFORCED", at);
        }
    }
    match &syntax.match_kind {
        None | Some(ast::ConstraintReferenceMatchKind::Simple) => Ok(false),
        Some(ast::ConstraintReferenceMatchKind::Full) => Ok(true),
        Some(ast::ConstraintReferenceMatchKind::Partial) => refuse("MATCH PARTIAL", at),
    }
}

fn key_column(table: &TableDef, ident: &ast::Ident) -> Result<ColumnId> {
    let column = name::fold(ident)?;
    match table.column(&column) {
        Some((_, column)) => Ok(column.id),
        None => Err(Error::new(
            state::UNDEFINED_COLUMN,
            format!("column \"{column}\" referenced in foreign key constraint does not exist"),
        )
        .at(place(ident.span))),
    }
}

fn primary_key(parent: &Parent<'_>, at: Option<Position>) -> Result<Vec<ColumnId>> {
    let mut indexes = parent.indexes.iter();
    let primary = indexes.find(|index| index.constraint == Some(Constraint::PrimaryKey));
    match primary {
        Some(index) => Ok(index.columns.iter().map(|part| part.column).collect()),
        None => Err(Error::new(
            state::UNDEFINED_OBJECT,
            format!(
                "there is no primary key for referenced table \"{}\"",
                parent.table.name
            ),
        )
        .at(at)),
    }
}

/// Which of the indexes is a unique one over just these columns.
fn unique_index(
    parent: &Parent<'_>,
    columns: &[ColumnId],
    referenced: &[ColumnId],
    at: Option<Position>,
) -> Result<usize> {
    let invalid = |message: &str| Err(Error::new(state::INVALID_FOREIGN_KEY, message).at(at));
    if (1..referenced.len()).any(|at| referenced[..at].contains(&referenced[at])) {
        return invalid("foreign key referenced-columns list must not contain duplicates");
    }
    let is_over = |index: &&IndexDef| {
        let is_part = |column| index.columns.iter().any(|part| part.column == column);
        // As many, and none of those named is there twice: so none of the index is.
        index.unique
            && index.columns.len() == referenced.len()
            && referenced.iter().all(|column| is_part(*column))
    };
    match parent.indexes.iter().position(is_over) {
        Some(_) if columns.len() != referenced.len() => {
            invalid("number of referencing and referenced columns for foreign key disagree")
        }
        Some(index) => Ok(index),
        None => invalid(&format!(
            "there is no unique constraint matching given keys for referenced table \"{}\"",
            parent.table.name
        )),
    }
}

fn check_types(
    name: &str,
    (child, columns): (&TableDef, &[ColumnId]),
    (parent, referenced): (&TableDef, &[ColumnId]),
    at: Option<Position>,
) -> Result<()> {
    for (one, other) in columns.iter().zip(referenced) {
        let (Some(one), Some(other)) = (child.position(*one), parent.position(*other)) else {
            continue;
        };
        let (from, to) = (column_type(child, one), column_type(parent, other));
        if KeyCast::between(from, to).is_none() {
            let message = format!("foreign key constraint \"{name}\" cannot be implemented");
            let detail = format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                child.columns[one].name,
                parent.columns[other].name,
                super::coerce::plain(from),
                super::coerce::plain(to)
            );
            return Err(Error::new(state::DATATYPE_MISMATCH, message)
                .with_detail(detail)
                .at(at));
        }
    }
    Ok(())
}

fn action(syntax: Option<ast::ReferentialAction>) -> ForeignAction {
    match syntax {
        None | Some(ast::ReferentialAction::NoAction) => ForeignAction::NoAction,
        Some(ast::ReferentialAction::Restrict) => ForeignAction::Restrict,
        Some(ast::ReferentialAction::Cascade) => ForeignAction::Cascade,
        Some(ast::ReferentialAction::SetNull) => ForeignAction::SetNull,
        Some(ast::ReferentialAction::SetDefault) => ForeignAction::SetDefault,
    }
}

/// What keeps something from being dropped: PostgreSQL's complaint with the constraints that need it.
pub(super) fn depended_on(what: &str, by: &[String], at: Option<Position>) -> Error {
    Error::new(
        state::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop {what}"),
    )
    .with_detail(by.join("\n"))
    .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
    .at(at)
}
