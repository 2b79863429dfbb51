//! Schemas: CREATE, ALTER and DROP SCHEMA, and what moves from one to another.

use super::relation::missing_schema;
use super::statement::Tagged;
use super::table::is_cascade;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::{INFORMATION_SCHEMA, PG_CATALOG, schema_name};
use crate::parse::{Parsed, SetSchema, place, refuse};
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::{AlterTable, AlteredRows, Step, Tests};
use remora_storage::SchemaId;
use remora_storage::catalog::{SequenceDef, TableDef, TableEntry, ViewDef};
use sqlparser::ast::{self, AlterSchemaOperation, SchemaName};

/// Who may be said to own a schema: there is one user.
const OWNERS: &[&str] = &["remora", "current_user", "session_user", "current_role"];

impl Binder<'_> {
    /// Binds a CREATE SCHEMA.
    pub(super) fn create_schema(
        &self,
        schema: &SchemaName,
        if_not_exists: bool,
    ) -> Result<Statement> {
        let (name, at) = match schema {
            SchemaName::Simple(name) => (name::single(name)?, name::object_place(name)),
            SchemaName::UnnamedAuthorization(owner) => (check_owner(owner)?, place(owner.span)),
            SchemaName::NamedAuthorization(name, owner) => {
                check_owner(owner)?;
                (name::single(name)?, name::object_place(name))
            }
        };
        check_name(&name).map_err(|error| error.at(at))?;
        match self.path.schema(self.catalog, &name) {
            Some(_) if if_not_exists => Ok(Statement::Structure(Vec::new())),
            Some(_) => Err(schema_exists(&name).at(at)),
            None => Ok(Statement::Structure(vec![Step::CreateSchema(name)])),
        }
    }

    /// Binds a CREATE SCHEMA with what is to be in it, which the session makes when there is the schema.
    pub(super) fn schema_with(
        &self,
        schema: &ast::Statement,
        elements: &[std::sync::Arc<Parsed>],
    ) -> Result<Tagged> {
        let ast::Statement::CreateSchema {
            schema_name,
            if_not_exists,
            ..
        } = schema
        else {
            return refuse("this statement", None);
        };
        if *if_not_exists && !elements.is_empty() {
            let message = "CREATE SCHEMA IF NOT EXISTS cannot include schema elements";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message));
        }
        let made = self.create_schema(schema_name, false)?;
        Ok((LogicalStatement::Done(made), "CREATE SCHEMA"))
    }

    /// Binds an ALTER SCHEMA.
    pub(super) fn alter_schema(&self, alter: &ast::AlterSchema) -> Result<Statement> {
        let (name, at) = (name::single(&alter.name)?, name::object_place(&alter.name));
        let Some(schema) = self.path.schema(self.catalog, &name) else {
            if alter.if_exists {
                return Ok(Statement::Structure(Vec::new()));
            }
            return Err(missing_schema(&name).at(at));
        };
        match alter.operations.as_slice() {
            [AlterSchemaOperation::Rename { name: new }] => {
                let (new, new_at) = (name::single(new)?, name::object_place(new));
                if self.path.schema(self.catalog, &new).is_some() {
                    return Err(schema_exists(&new).at(new_at));
                }
                check_name(&new).map_err(|error| error.at(new_at))?;
                if self.catalog.schema_by_id(schema).is_none() {
                    return refuse(&format!("another name for schema \"{name}\""), at);
                }
                Ok(Statement::Structure(vec![Step::RenameSchema(schema, new)]))
            }
            [AlterSchemaOperation::OwnerTo { .. }] => Ok(Statement::Structure(Vec::new())),
            _ => refuse("this action of ALTER SCHEMA", at),
        }
    }

    /// Binds a DROP SCHEMA.
    pub(super) fn drop_schemas(&mut self, syntax: &ast::Statement) -> Result<LogicalStatement> {
        let ast::Statement::Drop {
            names, if_exists, ..
        } = syntax
        else {
            return refuse("this statement", None);
        };
        let mut going: Vec<(SchemaId, String)> = Vec::new();
        for name in names {
            let (schema, at) = (name::single(name)?, name::object_place(name));
            match self.path.schema(self.catalog, &schema) {
                Some(PG_CATALOG | INFORMATION_SCHEMA) => {
                    let message = format!(
                        "cannot drop schema {schema} because it is required by the database system"
                    );
                    return Err(Error::new(state::DEPENDENT_OBJECTS_STILL_EXIST, message).at(at));
                }
                Some(id) if self.catalog.schema_by_id(id).is_none() => {
                    return refuse(&format!("DROP of schema \"{schema}\""), at);
                }
                Some(id) if going.iter().any(|(other, _)| *other == id) => {}
                Some(id) => going.push((id, schema)),
                None if *if_exists => {}
                None => return Err(missing_schema(&schema).at(at)),
            }
        }
        let mut steps = self.without_schemas(&going, is_cascade(syntax))?;
        let types = self.catalog.types();
        let types = types.filter(|def| going.iter().any(|(schema, _)| *schema == def.schema));
        let types: Vec<_> = types.cloned().collect();
        let structure = |steps| LogicalStatement::Done(Statement::Structure(steps));
        if types.is_empty() {
            return Ok(structure(steps));
        }
        // What is of its types goes first, also in other schemas.
        let dropped = steps.iter().filter_map(|step| match step {
            Step::DropTable(id) | Step::DropView(id) => Some(*id),
            _ => None,
        });
        let dropped: Vec<_> = dropped.collect();
        let mut all = self.freed_of_types(&types, &dropped, true)?;
        for first in &all {
            if let LogicalStatement::Done(Statement::Structure(first)) = first {
                steps.retain(|step| !first.contains(step));
            }
        }
        all.push(structure(steps));
        Ok(LogicalStatement::Each(all))
    }

    /// Binds an ALTER .. SET SCHEMA.
    pub(super) fn set_schema(&self, syntax: &SetSchema) -> Result<Statement> {
        let at = name::object_place(&syntax.name);
        let located = match syntax.if_exists {
            true => self.relation(&syntax.name)?,
            false => self.relation_there(&syntax.name)?,
        };
        let to = name::fold(&syntax.schema)?;
        let to_at = place(syntax.schema.span);
        let schema = self.path.schema(self.catalog, &to);
        let schema = schema.ok_or_else(|| missing_schema(&to).at(to_at))?;
        if syntax.if_exists && !self.relation_exists(&located) {
            return Ok(Statement::Structure(Vec::new()));
        }
        if schema == PG_CATALOG || schema == INFORMATION_SCHEMA {
            let message = format!(
                "permission denied to move \"{}\" to \"{to}\"",
                located.name()
            );
            return Err(Error::new(state::INSUFFICIENT_PRIVILEGE, message).at(at));
        }
        if let Some(sequence) = self.catalog.sequence(&located) {
            if let Some((table, _)) = sequence.def.owner {
                return Err(self.linked(&sequence.def, table).at(at));
            }
            self.check_move((sequence.def.schema, located.name()), schema, at)?;
            let def = SequenceDef {
                schema,
                ..sequence.def.clone()
            };
            return Ok(Statement::Structure(vec![Step::AlterSequence(def)]));
        }
        if let Some(view) = self.catalog.view(&located) {
            self.check_move((view.schema, located.name()), schema, at)?;
            let def = ViewDef {
                schema,
                ..ViewDef::clone(view)
            };
            return Ok(Statement::Structure(vec![Step::AlterView(def)]));
        }
        if self.catalog.index(&located).is_some() {
            let message = format!("cannot change schema of index \"{}\"", located.name());
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message)
                .with_hint("Change the schema of the table instead.")
                .at(at));
        }
        let entry = self.table(&located, at)?;
        self.move_table(&entry, schema, at)
    }

    /// A table goes with its indexes and its sequences.
    fn move_table(
        &self,
        entry: &TableEntry,
        schema: SchemaId,
        at: Option<Position>,
    ) -> Result<Statement> {
        let from = entry.def.schema;
        let mut names = vec![entry.def.name.as_str()];
        names.extend(entry.indexes.iter().map(|index| index.def.name.as_str()));
        let mut after = Vec::new();
        for sequence in self.catalog.sequences_of(entry.def.id) {
            names.push(&sequence.def.name);
            after.push(Step::AlterSequence(SequenceDef {
                schema,
                ..sequence.def.clone()
            }));
        }
        for name in names {
            self.check_move((from, name), schema, at)?;
        }
        Ok(Statement::AlterTable(Box::new(AlterTable {
            before: Vec::new(),
            def: TableDef {
                schema,
                ..entry.def.clone()
            },
            rows: AlteredRows::Left,
            tests: Tests::default(),
            after,
            foreign_keys: Vec::new(),
            numbered: Vec::new(),
            validated: Vec::new(),
        })))
    }

    fn check_move(
        &self,
        (from, name): (SchemaId, &str),
        to: SchemaId,
        at: Option<Position>,
    ) -> Result<()> {
        if from.is_temporary() || to.is_temporary() {
            let message = "cannot move objects into or out of temporary schemas";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
        }
        if from == to || !self.catalog.has_name((to, name)) {
            return Ok(());
        }
        let to = schema_name(self.catalog, to);
        let message = format!("relation \"{name}\" already exists in schema \"{to}\"");
        Err(Error::new(state::DUPLICATE_TABLE, message).at(at))
    }

    fn linked(&self, sequence: &SequenceDef, table: remora_storage::TableId) -> Error {
        let table = self.catalog.table_by_id(table);
        let table = table.map_or("", |table| table.def.name.as_str());
        let message = "cannot move an owned sequence into another schema";
        Error::new(state::FEATURE_NOT_SUPPORTED, message).with_detail(format!(
            "Sequence \"{}\" is linked to table \"{table}\".",
            sequence.name
        ))
    }
}

fn check_owner(owner: &ast::Ident) -> Result<String> {
    let name = name::fold_label(owner)?;
    match OWNERS.contains(&name.as_str()) {
        true => Ok(OWNERS[0].to_owned()),
        false => Err(
            sql_error!(UNDEFINED_OBJECT, "role \"{name}\" does not exist").at(place(owner.span)),
        ),
    }
}

fn check_name(name: &str) -> Result<()> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    let message = format!("unacceptable schema name \"{name}\"");
    Err(Error::new(state::RESERVED_NAME, message)
        .with_detail("The prefix \"pg_\" is reserved for system schemas."))
}

fn schema_exists(name: &str) -> Error {
    sql_error!(DUPLICATE_SCHEMA, "schema \"{name}\" already exists")
}
