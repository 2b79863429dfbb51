//! CREATE TABLE and DROP TABLE.

use super::check::{bind_check, positions, set_default};
use super::foreign::{WrittenKey, depended_on};
use super::index::{Names, index_column};
use super::sequence::{Numbered, is_integer, serial};
use super::{Binder, data_type, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{SequenceOptions, place, refuse};
use crate::plan::Statement;
use crate::plan::system::SystemTable;
use remora_storage::catalog::{
    CheckDef, ColumnDef, Constraint, Identity, IndexColumn, IndexDef, IndexKind, TableDef,
};
use remora_storage::limits::COLUMNS_MAX;
use remora_storage::{ColumnId, IndexId, TableId};
use sqlparser::ast::{self, ColumnOption, TableConstraint};

/// A table, while it is being put together.
struct Draft<'n> {
    table: TableDef,
    primary: Option<IndexDef>,
    unique: Vec<IndexDef>,
    /// CHECKs with the column they stand beside; bound when all columns are known.
    checks: Vec<(Option<String>, Option<String>, &'n ast::Expr)>,
    foreign_keys: Vec<WrittenKey<'n>>,
    /// Columns said to be NULL.
    nullable: Vec<usize>,
    /// Columns with a sequence of their own, by position.
    numbered: Vec<(usize, Numbered<'n>)>,
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
        let mut draft = Draft {
            table: TableDef {
                id: TableId::default(),
                name: table_name,
                columns: Vec::new(),
                checks: Vec::new(),
                foreign_keys: Vec::new(),
            },
            primary: None,
            unique: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            nullable: Vec::new(),
            numbered: Vec::new(),
        };
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

    fn column_option(
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

    fn table_constraint(
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
        let mut names = Names::new(self.catalog, &draft.table);
        let mut indexes: Vec<IndexDef> = draft.primary.into_iter().chain(draft.unique).collect();
        // Names that were given come first, so that made-up ones can step aside.
        for index in indexes.iter().filter(|index| !index.name.is_empty()) {
            names.claim(&index.name)?;
        }
        for index in &mut indexes {
            if index.name.is_empty() {
                index.name = names.index(index);
            }
        }
        let mut sequences = Vec::new();
        for (position, numbered) in &draft.numbered {
            sequences.push(self.column_sequence(&mut names, &draft.table, *position, numbered)?);
        }
        let scope = positions(&draft.table.name, &draft.table.columns);
        let mut checks: Vec<CheckDef> = Vec::new();
        for (name, beside, syntax) in draft.checks {
            let bound = bind_check(self.catalog, syntax, &scope)?;
            let mut named = bound.columns().into_iter();
            let only = match (beside, named.next(), named.next()) {
                (Some(beside), ..) => Some(beside),
                (None, Some(one), None) => Some(draft.table.columns[one].name.clone()),
                _ => None,
            };
            let taken: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
            let name = match name {
                Some(name) if taken.contains(&name.as_str()) => {
                    return Err(Error::new(
                        state::DUPLICATE_OBJECT,
                        format!(
                            "constraint \"{name}\" for relation \"{}\" already exists",
                            draft.table.name
                        ),
                    ));
                }
                Some(name) => name,
                None => names.check(only.as_deref(), &taken),
            };
            checks.push(CheckDef {
                name,
                expression: syntax.to_string(),
            });
        }
        draft.table.checks = checks;
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

    /// Whether a table or an index of the name exists.
    pub(super) fn relation_exists(&self, name: &str) -> bool {
        self.catalog.has_name(name) || SystemTable::named(name).is_some()
    }

    /// Binds a DROP TABLE.
    pub(super) fn drop_tables(&mut self, syntax: &'a ast::Statement) -> Result<Statement> {
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
        let at = names.first().and_then(name::object_place);
        for name in names {
            let (table, at) = (name::relation(name)?, name::object_place(name));
            match self.catalog.table(&table) {
                Some(entry) if !ids.contains(&entry.def.id) => ids.push(entry.def.id),
                Some(_) => {}
                None if self.catalog.has_name(&table) => {
                    let hint = match self.catalog.sequence(&table) {
                        Some(_) => "Use DROP SEQUENCE to remove a sequence.",
                        None => "Use DROP INDEX to remove an index.",
                    };
                    return Err(Error::new(
                        state::WRONG_OBJECT_TYPE,
                        format!("\"{table}\" is not a table"),
                    )
                    .with_hint(hint)
                    .at(at));
                }
                None if *if_exists => {}
                None => {
                    return Err(Error::new(
                        state::UNDEFINED_TABLE,
                        format!("table \"{table}\" does not exist"),
                    )
                    .at(at));
                }
            }
        }
        if !cascade {
            self.refuse_referenced(&ids, at)?;
        }
        Ok(Statement::DropTable(ids))
    }
}

impl Binder<'_> {
    /// Fails where other tables refer to those that are to be dropped.
    fn refuse_referenced(&self, dropped: &[TableId], at: Option<Position>) -> Result<()> {
        let mut by = Vec::new();
        for entry in dropped
            .iter()
            .filter_map(|id| self.catalog.table_by_id(*id))
        {
            let on = format!("table {}", entry.def.name);
            let others = entry.references.iter();
            let others = others.filter(|reference| !dropped.contains(&reference.child));
            by.extend(others.map(|reference| self.dependence(reference, &on)));
        }
        let what = match dropped {
            _ if by.is_empty() => return Ok(()),
            [one] => {
                let name = self.catalog.table_by_id(*one);
                let name = name.map_or("", |entry| entry.def.name.as_str());
                format!("table {name} because other objects depend on it")
            }
            _ => "desired object(s) because other objects depend on them".to_owned(),
        };
        Err(depended_on(&what, &by, at))
    }
}

impl<'n> Draft<'n> {
    fn add_column(&mut self, column: &ast::ColumnDef) -> Result<()> {
        let at = place(column.name.span);
        let name = name::fold(&column.name)?;
        if self.table.column(&name).is_some() {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(state::DUPLICATE_COLUMN, message).at(at));
        }
        // Ids are handed out in order; a table has far fewer columns than there are ids.
        let id = ColumnId(self.table.columns.len() as u32);
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
