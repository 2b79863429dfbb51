//! CREATE, ALTER and DROP SEQUENCE; SERIAL and IDENTITY columns; what takes numbers from sequences.

use super::generated::refuse_value;
use super::index::Names;
use super::relation::already_exists;
use super::{Binder, data_type, name};
use crate::error::{Error, Position, Result, state};
use crate::function::{Needs, RelationName, SearchPath, find_sequence, sequence_name};
use crate::parse::{Overriding, SequenceOptions, SequenceSyntax, place, refuse};
use crate::plan::sequence::{ColumnSequence, SequenceChange};
use crate::plan::{Expr, ExprKind, Statement};
use remora_storage::catalog::{Catalog, ColumnDef, ForeignAction, Identity, TableDef, TableEntry};
use remora_storage::{ColumnId, DataType, SchemaId, SequenceId, TableId, Value};
use sqlparser::ast;
use std::sync::Arc;

/// How a column of a new table gets its sequence.
pub(super) enum Numbered {
    /// SERIAL and its like.
    Serial,
    /// GENERATED .. AS IDENTITY
    Identity(Identity, Box<SequenceOptions>),
}

impl<'a> Binder<'a> {
    /// Binds CREATE and ALTER SEQUENCE; with PostgreSQL's command tag.
    pub(super) fn sequence(
        &mut self,
        syntax: &'a SequenceSyntax,
    ) -> Result<(Statement, &'static str)> {
        match syntax {
            SequenceSyntax::Create {
                name,
                if_not_exists,
                temporary,
                options,
            } => {
                let at = name::object_place(name);
                let located = self.new_relation(name, *temporary)?;
                let change = self.sequence_options(options, "sequence", at)?;
                if self.relation_exists(&located) && !*if_not_exists {
                    return Err(already_exists(located.name()).at(at));
                }
                let place = (&located).into();
                let def = change.create(place).map_err(|error| error.at(at))?;
                if let Some(Some((table, _))) = change.owner {
                    self.check_owner(def.schema, table, at)?;
                }
                let statement = Statement::CreateSequence {
                    def,
                    if_not_exists: *if_not_exists,
                };
                Ok((statement, "CREATE SEQUENCE"))
            }
            SequenceSyntax::Alter {
                name,
                if_exists,
                options,
            } => {
                let found = self.altered(name, *if_exists)?;
                let what = self.sequence_options(options, "sequence", name::object_place(name))?;
                let id = found.filter(|id| what.owner.is_none() || !self.is_of_identity(*id));
                if let (Some(found), None) = (found, id) {
                    return Err(self.keeps_owner(found));
                }
                let entry = id.and_then(|id| self.catalog.sequence_by_id(id));
                if let (Some(entry), Some(Some((table, _)))) = (entry, what.owner) {
                    self.check_owner(entry.def.schema, table, name::object_place(name))?;
                }
                let change = id.map(|id| (id, what));
                Ok((Statement::AlterSequence(change), "ALTER SEQUENCE"))
            }
            SequenceSyntax::Rename {
                name,
                if_exists,
                to,
            } => {
                let id = self.altered(name, *if_exists)?;
                let at = place(to.span);
                let to = name::fold(to)?;
                if let Some(entry) = id.and_then(|id| self.catalog.sequence_by_id(id)) {
                    self.refuse_taken(entry.def.schema, &to, at)?;
                }
                let change = id.map(|id| (id, to));
                Ok((Statement::RenameSequence(change), "ALTER SEQUENCE"))
            }
        }
    }

    /// Binds a DROP SEQUENCE.
    pub(super) fn drop_sequences(&mut self, syntax: &'a ast::Statement) -> Result<Statement> {
        let ast::Statement::Drop {
            names,
            if_exists,
            cascade,
            ..
        } = syntax
        else {
            return refuse("this statement", None);
        };
        let mut sequences = Vec::new();
        for syntax in names {
            let (name, at) = (self.relation(syntax)?, name::object_place(syntax));
            match self.catalog.sequence(&name) {
                Some(entry) if self.is_of_identity(entry.def.id) => {
                    return Err(self.identity_needs(entry.def.id).at(at));
                }
                Some(entry) if !sequences.contains(&entry.def.id) => sequences.push(entry.def.id),
                Some(_) => {}
                None if self.relation_exists(&name) => {
                    let error = not_a_sequence(name.name()).at(at);
                    return Err(match self.catalog.table(&name) {
                        Some(_) => error.with_hint("Use DROP TABLE to remove a table."),
                        None => error.with_hint("Use DROP INDEX to remove an index."),
                    });
                }
                None if *if_exists => {}
                None => {
                    self.relation_there(syntax)?;
                    let message = format!("sequence \"{}\" does not exist", name.name());
                    return Err(Error::new(state::UNDEFINED_TABLE, message).at(at));
                }
            }
        }
        Ok(Statement::DropSequence {
            sequences,
            cascade: *cascade,
        })
    }

    /// The sequence that is altered; none where it may be missing.
    fn altered(&self, syntax: &ast::ObjectName, if_exists: bool) -> Result<Option<SequenceId>> {
        let (name, at) = (self.relation(syntax)?, name::object_place(syntax));
        match self.catalog.sequence(&name) {
            Some(entry) => Ok(Some(entry.def.id)),
            None if self.relation_exists(&name) => Err(not_a_sequence(name.name()).at(at)),
            None if if_exists => Ok(None),
            None => {
                self.relation_there(syntax)?;
                Err(sql_error!(UNDEFINED_TABLE, "relation \"{name}\" does not exist").at(at))
            }
        }
    }

    /// The column that a sequence goes with.
    fn owner_of(&self, id: SequenceId) -> Option<(&TableDef, &ColumnDef)> {
        let entry = self.catalog.sequence_by_id(id)?;
        let (table, column) = entry.def.owner?;
        let table = &self.catalog.table_by_id(table)?.def;
        Some((table, &table.columns[table.position(column)?]))
    }

    fn is_of_identity(&self, id: SequenceId) -> bool {
        self.owner_of(id)
            .is_some_and(|(_, column)| column.identity.is_some())
    }

    fn sequence_name(&self, id: SequenceId) -> String {
        let entry = self.catalog.sequence_by_id(id);
        entry.map_or(String::new(), |entry| entry.def.name.clone())
    }

    fn identity_needs(&self, id: SequenceId) -> Error {
        let owner = self.owner_of(id);
        let (table, column) = owner.map_or(("", ""), |(t, c)| (&t.name, &c.name));
        sql_error!(
            DEPENDENT_OBJECTS_STILL_EXIST,
            "cannot drop sequence {} because column {column} of table {table} requires it",
            self.sequence_name(id)
        )
        .with_hint(format!(
            "You can drop column {column} of table {table} instead."
        ))
    }

    fn keeps_owner(&self, id: SequenceId) -> Error {
        let table = self.owner_of(id).map_or("", |(table, _)| &table.name);
        sql_error!(
            FEATURE_NOT_SUPPORTED,
            "cannot change ownership of identity sequence"
        )
        .with_detail(format!(
            "Sequence \"{}\" is linked to table \"{table}\".",
            self.sequence_name(id)
        ))
    }

    /// Options with types and names resolved.
    pub(super) fn sequence_options(
        &self,
        options: &SequenceOptions,
        what: &str,
        at: Option<Position>,
    ) -> Result<SequenceChange> {
        let data_type = options
            .data_type
            .as_ref()
            .map(|syntax| data_type::data_type(syntax, at));
        let data_type = data_type.transpose()?;
        if data_type.is_some_and(|data_type| !is_integer(data_type)) {
            return Err(sql_error!(
                INVALID_PARAMETER_VALUE,
                "{what} type must be smallint, integer, or bigint"
            )
            .at(at));
        }
        let owner = options.owner.as_ref().map(|owner| self.new_owner(owner));
        Ok(SequenceChange {
            data_type,
            increment: options.increment,
            min: options.min,
            max: options.max,
            start: options.start,
            restart: options.restart,
            cache: options.cache,
            cycle: options.cycle,
            owner: owner.transpose()?,
        })
    }

    /// OWNED BY table.column, or NONE.
    fn new_owner(&self, owner: &ast::ObjectName) -> Result<Option<(TableId, ColumnId)>> {
        let at = name::object_place(owner);
        let parts = name::parts(owner)?;
        let (table, column) = match parts.as_slice() {
            [none] if none.value.eq_ignore_ascii_case("none") => return Ok(None),
            [table, column] => (
                RelationName {
                    schema: None,
                    name: name::fold(table)?,
                },
                column,
            ),
            [schema, table, column] => {
                let schema = Some(name::fold(schema)?);
                (
                    RelationName {
                        schema,
                        name: name::fold(table)?,
                    },
                    column,
                )
            }
            _ => {
                return Err(sql_error!(SYNTAX_ERROR, "invalid OWNED BY option")
                    .with_hint("Specify OWNED BY table.column or OWNED BY NONE.")
                    .at(at));
            }
        };
        let entry = self.table(&self.path.locate(self.catalog, table), at)?;
        let column = name::fold(column)?;
        match entry.def.column(&column) {
            Some((_, column)) => Ok(Some((entry.def.id, column.id))),
            None => Err(sql_error!(
                UNDEFINED_COLUMN,
                "column \"{column}\" of relation \"{}\" does not exist",
                entry.def.name
            )
            .at(at)),
        }
    }

    /// A sequence goes with a table that is where it is itself.
    fn check_owner(&self, schema: SchemaId, table: TableId, at: Option<Position>) -> Result<()> {
        let table = self.catalog.table_by_id(table);
        if table.is_none_or(|table| table.def.schema == schema) {
            return Ok(());
        }
        let message = "sequence must be in same schema as table it is linked to";
        Err(Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message).at(at))
    }

    /// The sequence of a column of a new table, whose name is made up.
    pub(super) fn column_sequence(
        &self,
        names: &mut Names<'_>,
        table: &TableDef,
        position: usize,
        numbered: &Numbered,
    ) -> Result<ColumnSequence> {
        let column = &table.columns[position];
        let all = SequenceOptions::default();
        let (identity, options) = match numbered {
            Numbered::Serial => (None, &all),
            Numbered::Identity(identity, options) => (Some(*identity), &**options),
        };
        let mut change = self.sequence_options(options, "identity column", None)?;
        change.data_type = change.data_type.or(Some(column.data_type));
        Ok(ColumnSequence {
            position,
            def: change.create((table.schema, names.sequence(&column.name).as_str()).into())?,
            identity,
        })
    }

    /// Refuses a value for a generated column, and one for an identity column that has to have its
    /// sequence's, unless it is overridden. Whether the column's default is to be taken in its place.
    pub(super) fn overrides(&self, column: &ColumnDef, is_default: bool) -> Result<bool> {
        refuse_value(column, is_default)?;
        match (column.identity, self.aside.overriding) {
            (Some(_), Some(Overriding::User)) => Ok(true),
            (Some(Identity::Always), None) if !is_default => Err(sql_error!(
                GENERATED_ALWAYS,
                "cannot insert a non-DEFAULT value into column \"{}\"",
                column.name
            )
            .with_detail(always(column))
            .with_hint("Use OVERRIDING SYSTEM VALUE to override.")),
            _ => Ok(false),
        }
    }

    /// Notes what the changes of a table need: those of its rows, and those of the rows that refer to them. Foreign keys may
    /// set columns to defaults that take numbers from sequences, and triggers may fire.
    pub(super) fn note_changed(&mut self, table: &TableEntry) {
        let sets_default = |table: &TableDef| {
            let mut keys = table.foreign_keys.iter();
            let is = |action| action == ForeignAction::SetDefault;
            keys.any(|key| is(key.on_delete) || is(key.on_update))
        };
        let numbered = |table: &TableDef| table.columns.iter().any(|c| !c.sequences.is_empty());
        let followers = self.catalog.followers(table);
        let takes_numbers = followers
            .iter()
            .any(|t| sets_default(&t.def) && numbered(&t.def));
        if takes_numbers {
            self.needs |= Needs::EFFECTS;
        }
        self.note_fired(&table.def);
        followers
            .iter()
            .for_each(|table| self.note_fired(&table.def));
    }

    /// Notes what the triggers of a table may need, which is not known before they fire.
    pub(super) fn note_fired(&mut self, table: &TableDef) {
        if !table.triggers.is_empty() {
            self.needs |= Needs::ALL;
        }
    }

    /// Notes what an expression needs.
    pub(super) fn note_needs(&mut self, expr: &Expr) {
        expr.any(&mut |part| {
            if let ExprKind::Call { overload, .. } = part.kind {
                self.needs |= overload.needs;
            }
            false
        });
    }
}

fn always(column: &ColumnDef) -> String {
    format!(
        "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
        column.name
    )
}

/// Refuses a new value for an identity column that always has its sequence's.
pub(super) fn refuse_update(column: &ColumnDef) -> Result<()> {
    if column.identity != Some(Identity::Always) {
        return Ok(());
    }
    Err(sql_error!(
        GENERATED_ALWAYS,
        "column \"{}\" can only be updated to DEFAULT",
        column.name
    )
    .with_detail(always(column)))
}

/// The type that a SERIAL of this name is.
pub(super) fn serial(syntax: &ast::DataType) -> Option<DataType> {
    let ast::DataType::Custom(name, modifiers) = syntax else {
        return None;
    };
    let name = name::function(name).ok().filter(|_| modifiers.is_empty())?;
    match name.as_str() {
        "smallserial" | "serial2" => Some(DataType::SmallInt),
        "serial" | "serial4" => Some(DataType::Integer),
        "bigserial" | "serial8" => Some(DataType::BigInt),
        _ => None,
    }
}

/// Whether sequences can be of a type.
pub(super) fn is_integer(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt | DataType::Integer | DataType::BigInt
    )
}

/// The name that a call gives its sequence, if that is written there.
fn named(call: &Expr) -> Option<(&Expr, &str)> {
    match &call.kind {
        ExprKind::Call {
            overload,
            arguments,
        } if matches!(overload.name, "nextval" | "currval") => match arguments.as_slice() {
            [argument] => match &argument.kind {
                ExprKind::Literal(Value::Text(name)) => Some((argument, name)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The sequences that a default names, in the order of the calls.
///
/// # Errors
/// 42P01, 42809
pub(super) fn named_sequences(
    expr: &Expr,
    catalog: &Catalog,
    path: &SearchPath,
) -> Result<Vec<SequenceId>> {
    let mut found = Vec::new();
    expr.visit(&mut |part| {
        if let Some((_, name)) = named(part) {
            found.push(find_sequence(catalog, path, name)?.def.id);
        }
        Ok(())
    })?;
    Ok(found)
}

/// A default whose calls name its sequences as they are called now, whatever they were called when it
/// was written.
pub(super) fn with_names(expr: Expr, catalog: &Catalog, sequences: &[SequenceId]) -> Expr {
    let mut sequences = sequences.iter();
    expr.replace(&mut |part| {
        let (argument, _) = named(part)?;
        let entry = catalog.sequence_by_id(*sequences.next()?)?;
        let name = sequence_name(catalog, &entry.def).to_string();
        let name = Expr::literal(Value::Text(name), argument.data_type);
        Some(part.clone().map_children(&mut |_| name.clone()))
    })
}

/// Whether a function takes names of sequences and tables as texts.
pub(super) fn takes_names(function: &str) -> bool {
    matches!(
        function,
        "nextval" | "currval" | "setval" | "pg_get_serial_sequence"
    )
}

/// `'s'` of `'s'::regclass`: these functions take names as they are.
pub(super) fn without_regclass(argument: &ast::Expr) -> &ast::Expr {
    match argument {
        ast::Expr::Cast {
            data_type: ast::DataType::Regclass,
            expr,
            ..
        } => expr,
        other => other,
    }
}

fn not_a_sequence(name: &str) -> Error {
    sql_error!(WRONG_OBJECT_TYPE, "\"{name}\" is not a sequence")
}

/// Refuses to drop `what` while defaults that count take numbers from a sequence.
pub(crate) fn refuse_users(
    catalog: &Catalog,
    id: SequenceId,
    what: &str,
    counts: impl Fn(&TableEntry, &ColumnDef) -> bool,
) -> Result<()> {
    let name = catalog.sequence_by_id(id).map_or("", |s| &s.def.name);
    let line = |(table, column): (&Arc<TableEntry>, &ColumnDef)| {
        let (table, column) = (&table.def.name, &column.name);
        format!("default value for column {column} of table {table} depends on sequence {name}")
    };
    let users = catalog
        .users_of(id)
        .filter(|(table, column)| counts(table, column));
    let lines: Vec<String> = users.map(line).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(sql_error!(
        DEPENDENT_OBJECTS_STILL_EXIST,
        "cannot drop {what} because other objects depend on it"
    )
    .with_detail(lines.join("\n"))
    .with_hint("Use DROP ... CASCADE to drop the dependent objects too."))
}
