//! CREATE TABLE and DROP TABLE.

use super::check::{bind_check, positions, set_default};
use super::foreign::WrittenKey;
use super::index::{Names, index_column};
use super::sequence::{Numbered, is_integer, serial};
use super::{Binder, data_type, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{SequenceOptions, place, refuse};
use crate::plan::Statement;
use crate::plan::system::SystemTable;
use remora_storage::catalog::{
    Catalog, CheckDef, ColumnDef, Constraint, Identity, IndexColumn, IndexDef, IndexKind, TableDef,
};
use remora_storage::limits::COLUMNS_MAX;
use remora_storage::{ColumnId, IndexId, TableId};
use sqlparser::ast::{self, ColumnOption, TableConstraint};

/// A table, while it is being put together.
pub(super) struct Draft<'n> {
    pub(super) table: TableDef,
    pub(super) primary: Option<IndexDef>,
    unique: Vec<IndexDef>,
    /// CHECKs with the column they stand beside; bound when all columns are known.
    checks: Vec<(Option<String>, Option<String>, &'n ast::Expr)>,
    pub(super) foreign_keys: Vec<WrittenKey<'n>>,
    /// Columns said to be NULL.
    nullable: Vec<usize>,
    /// Columns with a sequence of their own, by position.
    pub(super) numbered: Vec<(usize, Numbered<'n>)>,
}

impl<'a> Binder<'a> {
    /// Binds a CREATE TABLE.
    pub(super) fn create_table(&mut self, create: &'a ast::CreateTable) -> Result<Statement> {
        let at = name::object_place(&create.name);
        refuse_clauses(create, at)?;
        let table_name = name::relation(&create.name)?;
        let is_system = SystemTable::named(&table_name).is_some();
        if is_system || self.relation_exists(&table_name) && !create.if_not_exists {
            return Err(Error::new(
                state::DUPLICATE_TABLE,
                format!("relation \"{table_name}\" already exists"),
            )
            .at(at));
        }
        if create.columns.len() > COLUMNS_MAX {
            let message = format!("tables can have at most {COLUMNS_MAX} columns");
            return Err(Error::new(state::TOO_MANY_COLUMNS, message).at(at));
        }
        if create.columns.is_empty() {
            return refuse("a table without columns", at);
        }
        let mut draft = Draft::new(TableDef::new(table_name, Vec::new()));
        let mut identities = self.aside.identities.iter();
        for column in &create.columns {
            draft.add_column(column)?;
        }
        for (position, column) in create.columns.iter().enumerate() {
            for option in &column.options {
                let at = (position, &column.name);
                self.column_option(&mut draft, at, option, &mut identities)?;
            }
        }
        for constraint in &create.constraints {
            self.table_constraint(&mut draft, constraint, at)?;
        }
        self.finish(draft, create.if_not_exists)
    }

    pub(super) fn column_option(
        &mut self,
        draft: &mut Draft<'a>,
        (position, ident): (usize, &'a ast::Ident),
        option: &'a ast::ColumnOptionDef,
        identities: &mut std::slice::Iter<'a, SequenceOptions>,
    ) -> Result<()> {
        let at = option.name.as_ref().and_then(|ident| place(ident.span));
        let name = option.name.as_ref().map(name::fold).transpose()?;
        let column = &mut draft.table.columns[position];
        match &option.option {
            ColumnOption::Null => draft.nullable.push(position),
            ColumnOption::NotNull => column.not_null = true,
            ColumnOption::Default(expr) => {
                set_default(self.catalog, expr, column)?;
                draft.check_one_source(position, at)?;
            }
            ColumnOption::PrimaryKey(_) => {
                let key = vec![IndexColumn::ascending(column.id)];
                draft.add_primary(name, key, at)?;
            }
            ColumnOption::Unique(_) => {
                let key = vec![IndexColumn::ascending(column.id)];
                draft.add_unique(name, key);
            }
            ColumnOption::Check(check) => {
                let beside = column.name.clone();
                let name = name.or(check.name.as_ref().map(name::fold).transpose()?);
                draft.checks.push((name, Some(beside), &check.expr));
            }
            ColumnOption::Collation(collation) => match name::function(collation)?.as_str() {
                "C" | "POSIX" | "ucs_basic" | "default" => {}
                other => return refuse(&format!("collation \"{other}\""), at),
            },
            ColumnOption::ForeignKey(syntax) => draft.foreign_keys.push(WrittenKey {
                name: name.or(syntax.name.as_ref().map(name::fold).transpose()?),
                columns: vec![ident],
                syntax,
            }),
            ColumnOption::Generated {
                generated_as,
                generation_expr: None,
                ..
            } => {
                let kind = match generated_as {
                    ast::GeneratedAs::Always => Identity::Always,
                    ast::GeneratedAs::ByDefault => Identity::ByDefault,
                    ast::GeneratedAs::ExpStored => return refuse("a generated column", at),
                };
                let Some(options) = identities.next() else {
                    return refuse("an identity column here", at);
                };
                draft.add_identity(position, kind, options, at)?;
            }
            ColumnOption::Generated { .. } | ColumnOption::Identity(_) => {
                return refuse("a generated column", at);
            }
            other => return refuse(&format!("column option {other}"), at),
        }
        Ok(())
    }

    pub(super) fn table_constraint(
        &mut self,
        draft: &mut Draft<'a>,
        constraint: &'a TableConstraint,
        at: Option<Position>,
    ) -> Result<()> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                let name = key.name.as_ref().map(name::fold).transpose()?;
                let columns = draft.key_columns(&key.columns, "primary key")?;
                draft.add_primary(name, columns, at)
            }
            TableConstraint::Unique(key) => {
                if key.nulls_distinct == ast::NullsDistinctOption::NotDistinct {
                    return refuse("NULLS NOT DISTINCT", at);
                }
                let name = key.name.as_ref().map(name::fold).transpose()?;
                let columns = draft.key_columns(&key.columns, "unique")?;
                draft.add_unique(name, columns);
                Ok(())
            }
            TableConstraint::Check(check) => {
                let name = check.name.as_ref().map(name::fold).transpose()?;
                draft.checks.push((name, None, &check.expr));
                Ok(())
            }
            TableConstraint::ForeignKey(syntax) => {
                draft.foreign_keys.push(WrittenKey {
                    name: syntax.name.as_ref().map(name::fold).transpose()?,
                    columns: syntax.columns.iter().collect(),
                    syntax,
                });
                Ok(())
            }
            _ => refuse("this kind of constraint", at),
        }
    }

    /// Names what has no name, and validates what needs all columns.
    fn finish(&mut self, mut draft: Draft<'a>, if_not_exists: bool) -> Result<Statement> {
        let mut names = Names::new(self.catalog, &draft.table);
        let indexes = self.complete(&mut draft, &mut names, &[])?;
        let mut sequences = Vec::new();
        for (position, numbered) in &draft.numbered {
            sequences.push(self.column_sequence(&mut names, &draft.table, *position, numbered)?);
        }
        // Where the table is there, nobody asks what this one would refer to.
        let is_there = if_not_exists && self.catalog.table(&draft.table.name).is_some();
        let foreign_keys = match is_there {
            true => Vec::new(),
            false => self.foreign_keys(&draft.table, &indexes, draft.foreign_keys)?,
        };
        Ok(Statement::CreateTable {
            table: draft.table,
            indexes,
            foreign_keys,
            sequences,
            if_not_exists,
        })
    }

    /// Gives the table its new checks, and returns the indexes of its new constraints. The constraints in
    /// `taken` it has already.
    pub(super) fn complete(
        &mut self,
        draft: &mut Draft<'a>,
        names: &mut Names<'_>,
        taken: &[&str],
    ) -> Result<Vec<IndexDef>> {
        for position in &draft.nullable {
            let column = &draft.table.columns[*position];
            if column.not_null {
                return Err(Error::new(
                    state::SYNTAX_ERROR,
                    format!(
                        "conflicting NULL/NOT NULL declarations for column \"{}\" of table \"{}\"",
                        column.name, draft.table.name
                    ),
                ));
            }
        }
        let primary = draft.primary.take().into_iter();
        let mut indexes: Vec<IndexDef> = primary.chain(draft.unique.drain(..)).collect();
        names.name_all(&mut indexes)?;
        let scope = positions(&draft.table.name, &draft.table.columns);
        for (name, beside, syntax) in std::mem::take(&mut draft.checks) {
            let bound = bind_check(self.catalog, syntax, &scope)?;
            let mut named = bound.columns().into_iter();
            let only = match (beside, named.next(), named.next()) {
                (Some(beside), ..) => Some(beside),
                (None, Some(one), None) => Some(draft.table.columns[one].name.clone()),
                _ => None,
            };
            let checks = draft.table.checks.iter().map(|check| check.name.as_str());
            let taken: Vec<&str> = checks.chain(taken.iter().copied()).collect();
            let name = match name {
                Some(name) if taken.contains(&name.as_str()) => {
                    return Err(taken_constraint(&name, &draft.table));
                }
                Some(name) => name,
                None => names.check(only.as_deref(), &taken),
            };
            draft.table.checks.push(CheckDef {
                name,
                expression: syntax.to_string(),
            });
        }
        Ok(indexes)
    }

    /// Whether a relation of the name exists.
    pub(super) fn relation_exists(&self, name: &str) -> bool {
        self.catalog.has_name(name) || SystemTable::named(name).is_some()
    }

    /// Binds a DROP TABLE.
    pub(super) fn drop_tables(&mut self, syntax: &'a ast::Statement) -> Result<Statement> {
        let going = self.relations_to_drop(syntax, "table", |catalog, name| {
            catalog.table(name).map(|entry| entry.def.id)
        })?;
        let before = self.without("table", &going, is_cascade(syntax))?;
        let tables = going.into_iter().map(|(id, _)| id).collect();
        Ok(Statement::DropTable(before, tables))
    }

    /// The relations that a DROP names, each once: ids and names.
    pub(super) fn relations_to_drop(
        &self,
        syntax: &ast::Statement,
        kind: &str,
        find: impl Fn(&Catalog, &str) -> Option<TableId>,
    ) -> Result<Vec<(TableId, String)>> {
        let ast::Statement::Drop {
            names, if_exists, ..
        } = syntax
        else {
            return refuse("this statement", None);
        };
        let mut going: Vec<(TableId, String)> = Vec::new();
        for name in names {
            let (relation, at) = (name::relation(name)?, name::object_place(name));
            match find(self.catalog, &relation) {
                Some(id) if going.iter().any(|(other, _)| *other == id) => {}
                Some(id) => going.push((id, relation)),
                None if self.catalog.has_name(&relation) => {
                    let other = self.kind_of(&relation);
                    let message = format!("\"{relation}\" is not a {kind}");
                    let article = if other == "INDEX" { "an" } else { "a" };
                    let lower = other.to_lowercase();
                    return Err(Error::new(state::WRONG_OBJECT_TYPE, message)
                        .with_hint(format!("Use DROP {other} to remove {article} {lower}."))
                        .at(at));
                }
                None if *if_exists => {}
                None => {
                    let message = format!("{kind} \"{relation}\" does not exist");
                    return Err(Error::new(state::UNDEFINED_TABLE, message).at(at));
                }
            }
        }
        Ok(going)
    }

    /// What a relation is, as DROP calls it.
    pub(super) fn kind_of(&self, relation: &str) -> &'static str {
        if self.catalog.table(relation).is_some() {
            "TABLE"
        } else if self.catalog.view(relation).is_some() {
            "VIEW"
        } else if self.catalog.sequence(relation).is_some() {
            "SEQUENCE"
        } else {
            "INDEX"
        }
    }
}

/// Whether a DROP takes along what depends on what it names.
pub(super) fn is_cascade(syntax: &ast::Statement) -> bool {
    matches!(syntax, ast::Statement::Drop { cascade: true, .. })
}

/// The complaint about a constraint whose name the table has for another one.
pub(super) fn taken_constraint(name: &str, table: &TableDef) -> Error {
    let table = &table.name;
    let message = format!("constraint \"{name}\" for relation \"{table}\" already exists");
    Error::new(state::DUPLICATE_OBJECT, message)
}

impl<'n> Draft<'n> {
    /// What is to be added to a table.
    pub(super) fn new(table: TableDef) -> Self {
        Self {
            table,
            primary: None,
            unique: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            nullable: Vec::new(),
            numbered: Vec::new(),
        }
    }

    pub(super) fn add_column(&mut self, column: &ast::ColumnDef) -> Result<()> {
        let at = place(column.name.span);
        let name = name::fold(&column.name)?;
        if self.table.column(&name).is_some() {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(state::DUPLICATE_COLUMN, message).at(at));
        }
        // Ids are handed out in order; nobody adds as many columns as there are ids.
        let ids = self.table.columns.iter().map(|column| column.id.0);
        let id = ColumnId(ids.max().map_or(0, |last| last + 1));
        let serial = serial(&column.data_type);
        let data_type = match serial {
            Some(data_type) => data_type,
            None => data_type::data_type(&column.data_type, at)?,
        };
        if serial.is_some() {
            let position = self.table.columns.len();
            self.numbered.push((position, Numbered::Serial));
        }
        self.table.columns.push(ColumnDef {
            not_null: serial.is_some(),
            ..ColumnDef::new(id, name, data_type)
        });
        Ok(())
    }

    fn add_identity(
        &mut self,
        position: usize,
        kind: Identity,
        options: &'n SequenceOptions,
        at: Option<Position>,
    ) -> Result<()> {
        let column = &mut self.table.columns[position];
        column.not_null = true;
        if !is_integer(column.data_type) {
            return Err(Error::new(
                state::INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint",
            )
            .at(at));
        }
        self.numbered
            .push((position, Numbered::Identity(kind, options)));
        self.check_one_source(position, at)
    }

    /// Whether a column has at most one of default, SERIAL and IDENTITY.
    fn check_one_source(&self, position: usize, at: Option<Position>) -> Result<()> {
        let column = &self.table.columns[position];
        let mut numbered = self.numbered.iter().filter(|(other, _)| *other == position);
        let complaint = match (numbered.next(), numbered.next()) {
            (Some((_, Numbered::Identity(..))), None) if column.default.is_some() => {
                "both default and identity specified"
            }
            (Some((_, Numbered::Serial)), None) if column.default.is_some() => {
                "multiple default values specified"
            }
            (Some((_, Numbered::Serial)), Some(_)) => "both default and identity specified",
            (Some(_), Some(_)) => "multiple identity specifications",
            _ => return Ok(()),
        };
        let (column, table) = (&column.name, &self.table.name);
        let message = format!("{complaint} for column \"{column}\" of table \"{table}\"");
        Err(Error::new(state::SYNTAX_ERROR, message).at(at))
    }

    fn key_columns(&self, columns: &[ast::IndexColumn], what: &str) -> Result<Vec<IndexColumn>> {
        let mut key: Vec<IndexColumn> = Vec::with_capacity(columns.len());
        for column in columns {
            let (ident, index_column) = index_column(&self.table, column, " named in key")?;
            if key.iter().any(|found| found.column == index_column.column) {
                return Err(Error::new(
                    state::DUPLICATE_COLUMN,
                    format!("column \"{ident}\" appears twice in {what} constraint"),
                )
                .at(place(ident.span)));
            }
            key.push(index_column);
        }
        Ok(key)
    }

    fn add_primary(
        &mut self,
        name: Option<String>,
        key: Vec<IndexColumn>,
        at: Option<Position>,
    ) -> Result<()> {
        if self.primary.is_some() {
            let message = format!(
                "multiple primary keys for table \"{}\" are not allowed",
                self.table.name
            );
            return Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at));
        }
        for column in &key {
            if let Some(position) = self.table.position(column.column) {
                self.table.columns[position].not_null = true;
            }
        }
        self.primary = Some(constraint_index(name, key, Constraint::PrimaryKey));
        Ok(())
    }

    fn add_unique(&mut self, name: Option<String>, key: Vec<IndexColumn>) {
        self.unique
            .push(constraint_index(name, key, Constraint::Unique));
    }
}

fn constraint_index(
    name: Option<String>,
    columns: Vec<IndexColumn>,
    constraint: Constraint,
) -> IndexDef {
    IndexDef {
        id: IndexId::default(),
        name: name.unwrap_or_default(),
        table: TableId::default(),
        columns,
        unique: true,
        kind: IndexKind::Ordered,
        constraint: Some(constraint),
    }
}

fn refuse_clauses(create: &ast::CreateTable, at: Option<Position>) -> Result<()> {
    let clauses = [
        (create.temporary, "a temporary table"),
        (create.unlogged, "an unlogged table"),
        (create.query.is_some(), "CREATE TABLE AS"),
        (create.like.is_some(), "CREATE TABLE .. LIKE"),
        (create.inherits.is_some(), "INHERITS"),
        (
            create.partition_by.is_some() || create.partition_of.is_some(),
            "PARTITION",
        ),
        (
            create.table_options != ast::CreateTableOptions::None,
            "a storage option",
        ),
        (
            create.or_replace || create.external || create.without_rowid || create.strict,
            "this form of CREATE TABLE",
        ),
    ];
    match clauses.into_iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(what, at),
        None => Ok(()),
    }
}
