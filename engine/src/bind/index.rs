//! CREATE INDEX and DROP INDEX, and the names that PostgreSQL makes up.

use super::computed_key::{called, is_computed};
use super::foreign::depended_on;
use super::storage_parameter::test_of_index;
use super::table::taken_constraint;
use super::{Binder, collation, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{place, refuse};
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use remora_storage::catalog::{
    Catalog, Constraint, Deferral, IndexColumn, IndexDef, IndexKind, TableDef,
};
use remora_storage::limits::IDENTIFIER_BYTES_MAX;
use remora_storage::{DataType, IndexId, SchemaId};
use sqlparser::ast;
use std::collections::{HashMap, HashSet};

/// Generated names: of relations, which are unique within their schema, and of constraints, which are unique within their
/// table. One statement uses one instance, so that the work is proportional to the number of names.
pub(super) struct Names<'c> {
    catalog: &'c Catalog,
    schema: SchemaId,
    table: String,
    columns: Vec<(remora_storage::ColumnId, String)>,
    /// Relations that the statement creates.
    relations: HashSet<String>,
    /// In the catalog, but not for long.
    released: HashSet<String>,
    /// Constraints of the table.
    constraints: HashSet<String>,
    /// For each name without a number, the first number that was not tried yet.
    numbers: HashMap<String, usize>,
}

impl<'c> Names<'c> {
    pub(super) fn new(catalog: &'c Catalog, table: &TableDef) -> Self {
        let columns = table.columns.iter();
        Self {
            catalog,
            schema: table.schema,
            table: table.name.clone(),
            columns: columns
                .map(|column| match &column.generated {
                    Some(text) if column.is_hidden() => (column.id, called(text)),
                    _ => (column.id, column.name.clone()),
                })
                .collect(),
            relations: HashSet::from([table.name.clone()]),
            released: HashSet::new(),
            constraints: HashSet::new(),
            numbers: HashMap::new(),
        }
    }

    /// Gives a name free that goes with the same statement.
    pub(super) fn release(&mut self, name: &str) {
        self.released.insert(name.to_owned());
    }

    /// Takes a name that the user gave.
    fn claim(&mut self, name: &str) -> Result<()> {
        if self.is_relation(name) {
            let message = format!("relation \"{name}\" already exists");
            return Err(Error::new(state::DUPLICATE_TABLE, message));
        }
        self.relations.insert(name.to_owned());
        Ok(())
    }

    /// Claims the name of a constraint of the table; returns `false` where another has it.
    pub(super) fn claim_constraint(&mut self, name: &str) -> bool {
        self.constraints.insert(name.to_owned())
    }

    /// `t_pkey`, `t_a_b_key`, `t_a_b_idx`, with a number where that is taken.
    pub(super) fn index(&mut self, index: &IndexDef) -> String {
        let keys = index.columns.iter().skip(usize::from(index.partial));
        let mut names: Vec<String> = Vec::new();
        for key in keys {
            let found = self.columns.iter().find(|(id, _)| *id == key.column);
            let Some((_, name)) = found else {
                continue;
            };
            let numbered = (1..).map(|number: usize| format!("{name}{number}"));
            let mut free = std::iter::once(name.clone()).chain(numbered);
            names.extend(free.find(|name| !names.contains(name)));
        }
        let columns = names.join("_");
        let (middle, label) = match index.constraint {
            Some(Constraint::PrimaryKey) => (None, "pkey"),
            Some(Constraint::Unique) => (Some(columns), "key"),
            None => (Some(columns), "idx"),
        };
        let is_constraint = index.constraint.is_some();
        let name = self.free(middle.as_deref(), label, |names, name| {
            names.is_relation(name) || is_constraint && names.constraints.contains(name)
        });
        self.relations.insert(name.clone());
        if is_constraint {
            self.constraints.insert(name.clone());
        }
        name
    }

    /// `t_a_seq`
    pub(super) fn sequence(&mut self, column: &str) -> String {
        let name = self.free(Some(column), "seq", |names, name| names.is_relation(name));
        self.relations.insert(name.clone());
        name
    }

    /// Names those of the indexes that have no name yet.
    ///
    /// # Errors
    /// 42P07, 42710.
    pub(super) fn name_all(&mut self, indexes: &mut [IndexDef]) -> Result<()> {
        // Names that were given come first, so that made-up ones can step aside.
        for index in indexes.iter().filter(|index| !index.name.is_empty()) {
            self.claim(&index.name)?;
            if index.constraint.is_some() && !self.claim_constraint(&index.name) {
                return Err(taken_constraint(&index.name, &self.table));
            }
        }
        for index in indexes {
            if index.name.is_empty() {
                index.name = self.index(index);
            }
        }
        Ok(())
    }

    /// `t_a_check`, `t_check`: unlike an index's it need only differ from the table's others.
    pub(super) fn check(&mut self, column: Option<&str>) -> String {
        self.constraint(column, "check")
    }

    /// `t_a_b_fkey`, like a CHECK's.
    pub(super) fn foreign_key(&mut self, columns: &[remora_storage::ColumnId]) -> String {
        let name = |id| self.columns.iter().find(move |(column, _)| column == id);
        let names: Vec<&str> = columns
            .iter()
            .filter_map(|id| name(id).map(|(_, name)| name.as_str()))
            .collect();
        self.constraint(Some(&names.join("_")), "fkey")
    }

    fn constraint(&mut self, middle: Option<&str>, label: &str) -> String {
        let name = self.free(middle, label, |names, name| {
            names.constraints.contains(name)
        });
        self.constraints.insert(name.clone());
        name
    }

    /// Returns the first name that is not taken. No name is tried twice.
    fn free(
        &mut self,
        middle: Option<&str>,
        label: &str,
        is_taken: impl Fn(&Self, &str) -> bool,
    ) -> String {
        let first = compose(&self.table, middle, label);
        let mut number = self.numbers.get(&first).copied().unwrap_or(0);
        let mut name = numbered(&self.table, middle, label, number);
        while is_taken(self, &name) {
            number += 1;
            name = numbered(&self.table, middle, label, number);
        }
        self.numbers.insert(first, number + 1);
        name
    }

    fn is_relation(&self, name: &str) -> bool {
        self.relations.contains(name)
            || self.catalog.has_name((self.schema, name)) && !self.released.contains(name)
    }
}

/// Like [`compose`], with a number behind the label unless that is zero.
fn numbered(table: &str, middle: Option<&str>, label: &str, number: usize) -> String {
    match number {
        0 => compose(table, middle, label),
        number => compose(table, middle, &format!("{label}{number}")),
    }
}

/// `table_middle_label` in 63 bytes: the longer of the first two parts is shortened.
fn compose(table: &str, middle: Option<&str>, label: &str) -> String {
    let (mut table, mut middle) = (table.to_owned(), middle.map(str::to_owned));
    loop {
        let parts = [Some(table.as_str()), middle.as_deref(), Some(label)];
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join("_");
        if name.len() <= IDENTIFIER_BYTES_MAX {
            return name;
        }
        match &mut middle {
            Some(middle) if middle.len() > table.len() => middle.pop(),
            _ => table.pop(),
        };
    }
}

/// The index that is asked for by USING.
pub(super) fn index_kind(
    using: Option<&ast::IndexType>,
    at: Option<Position>,
) -> Result<IndexKind> {
    match using {
        None | Some(ast::IndexType::BTree) => Ok(IndexKind::Ordered),
        Some(ast::IndexType::Hash) => Ok(IndexKind::Hash),
        Some(other) => refuse(&format!("access method {other}"), at),
    }
}

impl<'a> Binder<'a> {
    /// Binds a CREATE INDEX.
    pub(super) fn create_index(
        &mut self,
        create: &'a ast::CreateIndex,
    ) -> Result<LogicalStatement> {
        let at = name::object_place(&create.table_name);
        if !create.index_options.is_empty() || !create.alter_options.is_empty() || create.r#async {
            return refuse("an option of CREATE INDEX", at);
        }
        test_of_index(&create.with, at)?;
        let kind = index_kind(create.using.as_ref(), at)?;
        let table = self.relation_there(&create.table_name)?;
        if self.catalog.view(&table).is_some() {
            let message = format!("cannot create index on relation \"{table}\"");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message)
                .with_detail("This operation is not supported for views.")
                .at(at));
        }
        let entry = self.table(&table, at)?;
        test_included(&entry.def, &create.include, "")?;
        let mut def = IndexDef {
            partial: false,
            deferral: Deferral::Never,
            nulls_not_distinct: create.nulls_distinct == Some(false),
            id: IndexId::default(),
            name: String::new(),
            table: entry.def.id,
            columns: Vec::with_capacity(create.columns.len()),
            unique: create.unique,
            kind,
            constraint: None,
        };
        let given = create.name.as_ref();
        let index_name = given.map(name::single).transpose()?;
        if let (Some(given), Some(name)) = (given, &index_name) {
            let taken = self.refuse_taken(entry.def.schema, name, name::object_place(given));
            if taken.is_err() && create.if_not_exists {
                return Ok(LogicalStatement::Done(Statement::CreateIndex(None)));
            }
            taken?;
        }
        if is_computed(create, &entry.def)? {
            let altered = self.altered_table(&table, at)?;
            return self.computed_index(create, altered, def, index_name);
        }
        for column in &create.columns {
            def.columns.push(index_column(&entry.def, column, "")?.1);
        }
        def.name = match index_name {
            Some(name) => name,
            None => Names::new(self.catalog, &entry.def).index(&def),
        };
        Ok(LogicalStatement::Done(Statement::CreateIndex(Some(def))))
    }

    /// Binds a DROP INDEX.
    pub(super) fn drop_indexes(&mut self, syntax: &'a ast::Statement) -> Result<Statement> {
        let ast::Statement::Drop {
            names,
            if_exists,
            cascade,
            ..
        } = syntax
        else {
            return refuse("this statement", None);
        };
        let mut ids = Vec::new();
        let mut is_computed = false;
        for name in names {
            let (index, at) = (self.relation(name)?, name::object_place(name));
            let Some((table, entry)) = self.catalog.index(&index) else {
                if self.catalog.has_name(&index) {
                    let kind = self.kind_of(&index);
                    let message = format!("\"{}\" is not an index", index.name());
                    let hint = format!("Use DROP {kind} to remove a {}.", kind.to_lowercase());
                    let error = Error::new(state::WRONG_OBJECT_TYPE, message);
                    return Err(error.with_hint(hint).at(at));
                }
                if *if_exists {
                    continue;
                }
                self.relation_there(name)?;
                let message = format!("index \"{}\" does not exist", index.name());
                return Err(Error::new(state::UNDEFINED_OBJECT, message).at(at));
            };
            let index = index.name();
            if entry.def.constraint.is_some() {
                return Err(Error::new(
                    "2BP01",
                    format!(
                        "cannot drop index {index} because constraint {index} on table {} requires it",
                        table.def.name
                    ),
                )
                .at(at));
            }
            let references = table.references.iter();
            let by: Vec<String> = references
                .filter(|reference| reference.key.index == entry.def.id)
                .map(|reference| self.dependence(reference, &format!("index {index}")))
                .collect();
            if !by.is_empty() && !cascade {
                let what = format!("index {index} because other objects depend on it");
                return Err(depended_on(&what, &by, at));
            }
            if !ids.contains(&entry.def.id) {
                ids.push(entry.def.id);
            }
            let hidden = table.def.columns.iter().filter(|column| column.is_hidden());
            is_computed |= hidden.into_iter().any(|column| entry.covers(column.id));
        }
        Ok(match is_computed {
            true => Statement::Structure(self.without_computed(&ids)),
            false => Statement::DropIndex(ids),
        })
    }
}

/// Tests whether there are the columns that an index is to hold beside its key. It finds them in the row, which it
/// leads to anyway.
///
/// # Errors
/// 42703
pub(super) fn test_included(table: &TableDef, columns: &[ast::Ident], named: &str) -> Result<()> {
    for ident in columns {
        let name = name::fold(ident)?;
        if table.column(&name).is_none() {
            let message = format!("column \"{name}\"{named} does not exist");
            return Err(Error::new(state::UNDEFINED_COLUMN, message).at(place(ident.span)));
        }
    }
    Ok(())
}

/// Operator classes that order as indexes here do anyway: PostgreSQL's for the types that there are.
const CLASSES: &[&str] = &[
    "bool_ops",
    "bpchar_ops",
    "bpchar_pattern_ops",
    "bytea_ops",
    "date_ops",
    "float4_ops",
    "float8_ops",
    "int2_ops",
    "int4_ops",
    "int8_ops",
    "interval_ops",
    "name_ops",
    "numeric_ops",
    "text_ops",
    "text_pattern_ops",
    "time_ops",
    "timestamp_ops",
    "timestamptz_ops",
    "uuid_ops",
    "varchar_ops",
    "varchar_pattern_ops",
];

pub(super) fn test_class(class: &ast::ObjectName) -> Result<()> {
    let name = name::function(class)?;
    if CLASSES.contains(&name.as_str()) {
        return Ok(());
    }
    let message = format!("operator class \"{name}\" does not exist for access method \"btree\"");
    Err(Error::new(state::UNDEFINED_OBJECT, message).at(name::object_place(class)))
}

/// A key column, with the identifier that names it. `named` tells the complaint about a missing one
/// where it was named.
pub(super) fn index_column<'s>(
    table: &TableDef,
    syntax: &'s ast::IndexColumn,
    named: &str,
) -> Result<(&'s ast::Ident, IndexColumn)> {
    let mut expr = &syntax.column.expr;
    let mut collations = Vec::new();
    loop {
        expr = match expr {
            ast::Expr::Collate { expr, collation } => {
                collations.push(collation);
                expr
            }
            ast::Expr::Nested(inner) => inner,
            _ => break,
        };
    }
    let ast::Expr::Identifier(ident) = expr else {
        return refuse(
            "an index over an expression",
            super::expr::start(&syntax.column.expr),
        );
    };
    if let Some(class) = &syntax.operator_class {
        test_class(class)?;
    }
    let name = name::fold(ident)?;
    let Some((_, column)) = table.column(&name) else {
        let message = format!("column \"{name}\"{named} does not exist");
        return Err(Error::new(state::UNDEFINED_COLUMN, message).at(place(ident.span)));
    };
    for collation in collations {
        collation::named(collation, column.data_type)?;
    }
    test_order(column.data_type, place(ident.span))?;
    let descending = matches!(syntax.column.options.sort, Some(ast::OrderBySort::Desc));
    let column = IndexColumn {
        column: column.id,
        descending,
        nulls_first: syntax.column.options.nulls_first.unwrap_or(descending),
    };
    Ok((ident, column))
}

/// Refuses keys of a type that has no order.
///
/// # Errors
/// 42704
pub(super) fn test_order(found: DataType, at: Option<Position>) -> Result<()> {
    if super::coerce::has_order(found) {
        return Ok(());
    }
    let message = format!(
        "data type {} has no default operator class for access method \"btree\"",
        super::coerce::plain(found)
    );
    let hint = "You must specify an operator class for the index or define a default operator class \
                for the data type.";
    Err(Error::new(state::UNDEFINED_OBJECT, message)
        .with_hint(hint)
        .at(at))
}
