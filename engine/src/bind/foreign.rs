//! FOREIGN KEY and REFERENCES: what refers to what, by which unique index.

use super::check::column_type;
use super::deferral::deferral;
use super::index::Names;
use super::storage_parameter::eviction::refuse_reference;
use super::table::taken_constraint;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::KeyCast;
use crate::parse::{place, refuse, set_columns_of};
use crate::plan::statement::NewForeignKey;
use remora_storage::catalog::{
    Collation, Constraint, Deferral, ForeignAction, ForeignKeyDef, IndexDef, OnCommit, Reference,
    TableDef,
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
    /// NOT VALID
    pub not_valid: bool,
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
        if written.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = Names::new(self.catalog, table);
        let checks = table.checks.iter().map(|check| &check.name);
        let keys = table.foreign_keys.iter().map(|key| &key.name);
        let constraints = indexes.iter().filter(|index| index.constraint.is_some());
        for name in checks
            .chain(keys)
            .chain(constraints.map(|index| &index.name))
        {
            names.claim_constraint(name);
        }
        let made = written.into_iter();
        made.map(|key| self.foreign_key(table, indexes, key, &mut names))
            .collect()
    }

    /// Has the rows of a table be logged from now on, or no more.
    ///
    /// # Errors
    /// 42P16 where it is temporary, or a logged table would refer to one that is not.
    pub(super) fn set_logged(
        &self,
        table: &mut TableDef,
        logged: bool,
        at: Option<Position>,
    ) -> Result<()> {
        let name = &table.name;
        let refused = |message: String| Error::new(state::INVALID_TABLE_DEFINITION, message).at(at);
        if table.schema.is_temporary() {
            return Err(refused(format!(
                "cannot change logged status of table \"{name}\" because it is temporary"
            )));
        }
        let (to, of) = match logged {
            true => ("logged", "unlogged"),
            false => ("unlogged", "logged"),
        };
        let others = self.catalog.tables().filter(|other| {
            other.def.id != table.id && other.def.unlogged == logged && {
                let (from, to) = if logged {
                    (&*table, &other.def)
                } else {
                    (&other.def, &*table)
                };
                from.foreign_keys.iter().any(|key| key.parent == to.id)
            }
        });
        if let Some(other) = others.map(|other| &other.def.name).next() {
            return Err(refused(format!(
                "could not change table \"{name}\" to {to} because it references {of} table \"{other}\""
            )));
        }
        table.unlogged = !logged;
        Ok(())
    }

    /// Binds one foreign key; `names` has the names of the table's other constraints.
    fn foreign_key(
        &self,
        table: &TableDef,
        indexes: &[IndexDef],
        written: WrittenKey<'_>,
        names: &mut Names<'_>,
    ) -> Result<NewForeignKey> {
        let syntax = written.syntax;
        let at = name::object_place(&syntax.foreign_table);
        let full = is_full(syntax, at)?;
        let parent = self.parent(table, indexes, syntax)?;
        check_permanence(table, parent.table, at)?;
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
        refuse_folded(table, &columns, at)?;
        refuse_folded(parent.table, &referenced, at)?;
        let index = unique_index(&parent, &columns, &referenced, at)?;
        refuse_actions(table, &columns, syntax, at)?;
        let set_columns = set_columns(table, &columns, syntax, at)?;
        let key_name = match written.name {
            Some(given) if !names.claim_constraint(&given) => {
                return Err(taken_constraint(&given, &table.name));
            }
            Some(given) => given,
            None => names.foreign_key(&columns),
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
            deferral: deferral(syntax.characteristics.as_ref(), at)?,
            not_valid: written.not_valid,
            set_columns,
        };
        check_reference(&def, parent.table).map_err(|error| error.at(at))?;
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
        let parent = self.relation(&syntax.foreign_table)?;
        let is_said = parent.written.schema.is_some();
        if parent.name() == table.name && (!is_said || parent.schema == table.schema) {
            return Ok(Parent {
                table,
                indexes: indexes.iter().collect(),
            });
        }
        match self.catalog.table(&parent) {
            Some(entry) if entry.def.materialized.is_none() => Ok(Parent {
                table: &entry.def,
                indexes: entry.indexes.iter().map(|index| &index.def).collect(),
            }),
            found if found.is_some() || self.relation_exists(&parent) => Err(sql_error!(
                WRONG_OBJECT_TYPE,
                "referenced relation \"{}\" is not a table",
                parent.name()
            )
            .at(at)),
            _ => Err(sql_error!(UNDEFINED_TABLE, "relation \"{parent}\" does not exist").at(at)),
        }
    }
}

/// Keys of constraints are compared by their bytes.
fn refuse_folded(table: &TableDef, columns: &[ColumnId], at: Option<Position>) -> Result<()> {
    let is_folded = |id: &ColumnId| {
        let position = table.position(*id);
        position.is_some_and(|at| {
            let column = &table.columns[at];
            column.is_hidden() || column.collation == Some(Collation::Nocase)
        })
    };
    match columns.iter().any(is_folded) {
        true => refuse("a foreign key of columns of collation nocase", at),
        false => Ok(()),
    }
}

/// Says whether a key is to match in full.
fn is_full(syntax: &ast::ForeignKeyConstraint, at: Option<Position>) -> Result<bool> {
    match &syntax.match_kind {
        None | Some(ast::ConstraintReferenceMatchKind::Simple) => Ok(false),
        Some(ast::ConstraintReferenceMatchKind::Full) => Ok(true),
        Some(ast::ConstraintReferenceMatchKind::Partial) => refuse("MATCH PARTIAL", at),
    }
}

/// An action cannot set a column that is computed.
fn refuse_actions(
    table: &TableDef,
    columns: &[ColumnId],
    syntax: &ast::ForeignKeyConstraint,
    at: Option<Position>,
) -> Result<()> {
    let is_generated = |id: &ColumnId| {
        let position = table.position(*id);
        position.is_some_and(|position| table.columns[position].generated.is_some())
    };
    let sets = |action| matches!(action, ForeignAction::SetNull | ForeignAction::SetDefault);
    let (on_update, on_delete) = (action(syntax.on_update), action(syntax.on_delete));
    let event = match () {
        () if !columns.iter().any(is_generated) => return Ok(()),
        () if sets(on_update) || on_update == ForeignAction::Cascade => "UPDATE",
        () if sets(on_delete) => "DELETE",
        () => return Ok(()),
    };
    let message =
        format!("invalid ON {event} action for foreign key constraint containing generated column");
    Err(Error::new(state::SYNTAX_ERROR, message).at(at))
}

fn key_column(table: &TableDef, ident: &ast::Ident) -> Result<ColumnId> {
    let column = name::fold(ident)?;
    match table.column(&column) {
        Some((_, column)) => Ok(column.id),
        None => Err(sql_error!(
            UNDEFINED_COLUMN,
            "column \"{column}\" referenced in foreign key constraint does not exist"
        )
        .at(place(ident.span))),
    }
}

fn primary_key(parent: &Parent<'_>, at: Option<Position>) -> Result<Vec<ColumnId>> {
    let mut indexes = parent.indexes.iter();
    let primary = indexes.find(|index| index.constraint == Some(Constraint::PrimaryKey));
    match primary {
        Some(index) if index.deferral != Deferral::Never => {
            Err(deferrable(parent, "primary key", at))
        }
        Some(index) => Ok(index.columns.iter().map(|part| part.column).collect()),
        None => Err(sql_error!(
            UNDEFINED_OBJECT,
            "there is no primary key for referenced table \"{}\"",
            parent.table.name
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
        index.is_unique()
            && index.columns.len() == referenced.len()
            && referenced.iter().all(|column| is_part(*column))
    };
    match parent.indexes.iter().position(is_over) {
        Some(_) if columns.len() != referenced.len() => {
            invalid("number of referencing and referenced columns for foreign key disagree")
        }
        Some(index) if parent.indexes[index].deferral != Deferral::Never => {
            Err(deferrable(parent, "unique constraint", at))
        }
        Some(index) => Ok(index),
        None => invalid(&format!(
            "there is no unique constraint matching given keys for referenced table \"{}\"",
            parent.table.name
        )),
    }
}

fn deferrable(parent: &Parent<'_>, key: &str, at: Option<Position>) -> Error {
    let table = &parent.table.name;
    let message = format!("cannot use a deferrable {key} for referenced table \"{table}\"");
    Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message).at(at)
}

/// The columns that ON DELETE SET NULL or SET DEFAULT names, if it names some.
fn set_columns(
    table: &TableDef,
    columns: &[ColumnId],
    syntax: &ast::ForeignKeyConstraint,
    at: Option<Position>,
) -> Result<Vec<ColumnId>> {
    let Some(named) = set_columns_of(syntax) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for ident in named {
        let name = name::fold(&ident)?;
        let column = key_column(table, &ident)?;
        if !columns.contains(&column) {
            let message = format!(
                "column \"{name}\" referenced in ON DELETE SET action must be part of foreign key"
            );
            return Err(Error::new(state::INVALID_COLUMN_REFERENCE, message).at(at));
        }
        if !found.contains(&column) {
            found.push(column);
        }
    }
    Ok(found)
}

/// Whether the columns of a foreign key can be compared.
///
/// # Errors
/// 42804
pub(super) fn check_key_types(
    child: &TableDef,
    parent: &TableDef,
    key: &ForeignKeyDef,
    at: Option<Position>,
) -> Result<()> {
    check_types(
        &key.name,
        (child, &key.columns),
        (parent, &key.referenced),
        at,
    )
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
    sql_error!(DEPENDENT_OBJECTS_STILL_EXIST, "cannot drop {what}")
        .with_detail(by.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
        .at(at)
}

/// Tables that stay refer to tables that stay, logged ones to logged ones, and those of a session to its own, which last
/// as long.
fn check_permanence(table: &TableDef, parent: &TableDef, at: Option<Position>) -> Result<()> {
    let kind = match (table.schema.is_temporary(), parent.schema.is_temporary()) {
        (true, false) => "temporary",
        (false, true) => "permanent",
        (false, false) if table.unlogged => return Ok(()),
        (false, false) if parent.unlogged => "permanent",
        _ if parent.on_commit != OnCommit::Delete => return Ok(()),
        _ if table.on_commit == OnCommit::Delete => return Ok(()),
        _ => {
            let message = "unsupported ON COMMIT and foreign key combination";
            let (table, parent) = (&table.name, &parent.name);
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_detail(format!(
                    "Table \"{table}\" references \"{parent}\", but they do not have the same ON COMMIT setting."
                ))
                .at(at));
        }
    };
    let message = format!("constraints on {kind} tables may reference only {kind} tables");
    Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at))
}

/// Refuses a foreign key to a cache, and one to a table whose rows expire, if it would keep them from that.
///
/// # Errors
/// 0A000
fn check_reference(key: &ForeignKeyDef, parent: &TableDef) -> Result<()> {
    if parent.eviction.is_some() {
        return Err(refuse_reference(&key.name, &parent.name));
    }
    match parent.expiry {
        Some(_) => refuse_hold(key, &parent.name),
        None => Ok(()),
    }
}

/// Refuses a foreign key that would keep rows of its parent from expiring.
///
/// # Errors
/// 0A000
pub(super) fn refuse_hold(key: &ForeignKeyDef, parent: &str) -> Result<()> {
    use ForeignAction::{NoAction, Restrict};
    if !matches!(key.on_delete, NoAction | Restrict) {
        return Ok(());
    }
    let message = format!(
        "foreign key \"{}\" would keep rows of \"{parent}\" from expiring",
        key.name
    );
    Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).with_hint(
        "Say what becomes of rows that refer to one that expires: ON DELETE CASCADE, SET NULL or SET DEFAULT.",
    ))
}
