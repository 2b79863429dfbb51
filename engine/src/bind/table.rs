//! CREATE TABLE and DROP TABLE.

use super::check::{bind_check, positions, set_default};
use super::collation;
use super::deferral::deferral;
use super::draft::Draft;
use super::foreign::WrittenKey;
use super::generated::set_generated;
use super::index::{Names, index_kind, test_included, test_order};
use super::relation::already_exists;
use super::{Binder, name, storage_parameter};
use crate::error::{Error, Position, Result, state};
use crate::function::Located;
use crate::parse::{NULLS_NOT_DISTINCT, SequenceOptions, USING_HASH, like_of, place, refuse};
use crate::plan::Statement;
use remora_storage::catalog::{
    Catalog, CheckDef, Identity, IndexColumn, IndexDef, OnCommit, TableDef,
};
use remora_storage::{SchemaId, TableId};
use sqlparser::ast::{self, ColumnOption, TableConstraint};

impl<'a> Binder<'a> {
    /// Binds a CREATE TABLE.
    pub(super) fn create_table(&mut self, create: &'a ast::CreateTable) -> Result<Statement> {
        let at = name::object_place(&create.name);
        refuse_clauses(create, at)?;
        let parameters = storage_parameter::of_table(&create.table_options, at)?;
        let located = self.new_relation(&create.name, create.temporary)?;
        let is_system = self.system_table(&located).is_some();
        if is_system || self.relation_exists(&located) && !create.if_not_exists {
            return Err(already_exists(located.name()).at(at));
        }
        if create.columns.is_empty() {
            return refuse("a table without columns", at);
        }
        let mut draft = Draft::new(TableDef {
            on_commit: on_commit(create.on_commit, located.schema, at)?,
            unlogged: create.unlogged,
            ..new_table(located)
        });
        let aside = self.aside;
        let mut identities = aside.identities.iter();
        let mut written = Vec::with_capacity(create.columns.len());
        for column in &create.columns {
            let like = like_of(&column.name).and_then(|like| aside.definition.likes.get(like));
            match like {
                Some(like) => self.add_like(&mut draft, like)?,
                None => {
                    written.push((draft.table.columns.len(), column));
                    draft.add_column(column, self)?;
                }
            }
        }
        for (position, column) in written {
            for option in &column.options {
                let at = (position, &column.name);
                self.column_option(&mut draft, at, option, &mut identities)?;
            }
        }
        for constraint in &create.constraints {
            self.table_constraint(&mut draft, constraint, at)?;
        }
        self.expire(&mut draft, parameters.expiry, at)?;
        parameters.eviction.set(&mut draft.table, at)?;
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
        let schema = draft.table.schema;
        let column = &mut draft.table.columns[position];
        match &option.option {
            ColumnOption::Null => draft.nullable.push(position),
            ColumnOption::NotNull => column.not_null = true,
            ColumnOption::Default(expr) => {
                super::check::refuse_test(expr)?;
                set_default(self.catalog, expr, (column, schema), self.path)?;
                draft.check_one_source(position, at)?;
            }
            ColumnOption::PrimaryKey(syntax) => {
                test_order(column.data_type, place(ident.span))?;
                let key = vec![IndexColumn::ascending(column.id)];
                draft.add_primary(name, key, at)?;
                draft.defer_primary(deferral(syntax.characteristics.as_ref(), at)?);
            }
            ColumnOption::Unique(syntax) => {
                test_order(column.data_type, place(ident.span))?;
                let key = vec![IndexColumn::ascending(column.id)];
                draft.add_unique(name, key);
                draft.defer_unique(deferral(syntax.characteristics.as_ref(), at)?);
            }
            ColumnOption::Check(check) => {
                let beside = column.name.clone();
                let name = name.or(check.name.as_ref().map(name::fold).transpose()?);
                draft.checks.push((name, Some(beside), &check.expr));
            }
            ColumnOption::Collation(mark) if is_mark(mark, NULLS_NOT_DISTINCT) => {
                draft.distinguish_no_nulls(at)?;
            }
            ColumnOption::Collation(mark) if is_mark(mark, USING_HASH) => {
                draft.hash_key(position, at)?
            }
            ColumnOption::Collation(collation) => collation::of_column(column, collation)?,
            ColumnOption::ForeignKey(syntax) => draft.foreign_keys.push(WrittenKey {
                name: name.or(syntax.name.as_ref().map(name::fold).transpose()?),
                columns: vec![ident],
                syntax,
                not_valid: false,
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
            ColumnOption::Generated {
                generation_expr: Some(expr),
                generation_expr_mode,
                ..
            } => {
                if *generation_expr_mode != Some(ast::GeneratedExpressionMode::Stored) {
                    return Err(name::syntax_error(")", at));
                }
                draft.generated.push((position, expr));
                draft.check_one_source(position, at)?;
            }
            ColumnOption::Identity(_) => return refuse("this form of IDENTITY", at),
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
                test_included(&draft.table, &key.include, " named in key")?;
                draft.add_primary(name, columns, at)?;
                draft.defer_primary(deferral(key.characteristics.as_ref(), at)?);
                draft.index_key(true, index_kind(key.index_type.as_ref(), at)?);
                Ok(())
            }
            TableConstraint::Unique(key) => {
                let name = key.name.as_ref().map(name::fold).transpose()?;
                let columns = draft.key_columns(&key.columns, "unique")?;
                test_included(&draft.table, &key.include, " named in key")?;
                draft.add_unique(name, columns);
                draft.defer_unique(deferral(key.characteristics.as_ref(), at)?);
                draft.index_key(false, index_kind(key.index_type.as_ref(), at)?);
                match key.nulls_distinct {
                    ast::NullsDistinctOption::NotDistinct => draft.distinguish_no_nulls(at),
                    _ => Ok(()),
                }
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
                    not_valid: false,
                });
                Ok(())
            }
            _ => refuse("this kind of constraint", at),
        }
    }

    /// Names what has no name, and validates what needs all columns.
    fn finish(&mut self, mut draft: Draft<'a>, if_not_exists: bool) -> Result<Statement> {
        let mut names = Names::new(self.catalog, &draft.table);
        let indexes = self.complete(&mut draft, &mut names)?;
        let mut sequences = Vec::new();
        for (position, numbered) in &draft.numbered {
            sequences.push(self.column_sequence(&mut names, &draft.table, *position, numbered)?);
        }
        // Where the table is there, nobody asks what this one would refer to.
        let place = (draft.table.schema, draft.table.name.as_str());
        let is_there = if_not_exists && self.catalog.table(place).is_some();
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

    /// Gives the table its new checks, and returns the indexes of its new constraints. The names of those that have
    /// indexes already are claimed.
    pub(super) fn complete(
        &mut self,
        draft: &mut Draft<'a>,
        names: &mut Names<'_>,
    ) -> Result<Vec<IndexDef>> {
        for position in &draft.nullable {
            let column = &draft.table.columns[*position];
            if column.not_null {
                return Err(sql_error!(
                    SYNTAX_ERROR,
                    "conflicting NULL/NOT NULL declarations for column \"{}\" of table \"{}\"",
                    column.name,
                    draft.table.name
                ));
            }
        }
        let generated = std::mem::take(&mut draft.generated);
        // All are known before one is bound: none names another, wherever it stands.
        for (position, syntax) in &generated {
            draft.table.columns[*position].generated = Some(syntax.to_string());
        }
        for (position, syntax) in generated {
            set_generated(self.catalog, syntax, &mut draft.table, position)?;
        }
        let primary = draft.primary.take().into_iter();
        let mut indexes: Vec<IndexDef> = primary.chain(draft.indexes.drain(..)).collect();
        claim_constraints(draft, names)?;
        names.name_all(&mut indexes)?;
        draft.fold_keys(&mut indexes)?;
        let scope = positions(&draft.table.name, &draft.table.columns);
        for (name, beside, syntax) in std::mem::take(&mut draft.checks) {
            let columns = &draft.table.columns;
            let bound = bind_check(self.catalog, syntax, (&scope, columns))?;
            let mut named = bound.columns().into_iter();
            let only = match (beside, named.next(), named.next()) {
                (Some(beside), ..) => Some(beside),
                (None, Some(one), None) => Some(draft.table.columns[one].name.clone()),
                _ => None,
            };
            let name = name.unwrap_or_else(|| names.check(only.as_deref()));
            draft.table.checks.push(CheckDef {
                name,
                expression: syntax.to_string(),
                not_valid: false,
            });
        }
        Ok(indexes)
    }

    /// Binds a DROP TABLE.
    pub(super) fn drop_tables(&mut self, syntax: &'a ast::Statement) -> Result<Statement> {
        let going = self.relations_to_drop(syntax, "table", |catalog, name| {
            let table = catalog.table(name)?;
            let is_table = table.def.materialized.is_none();
            is_table.then_some(table.def.id)
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
        find: impl Fn(&Catalog, &Located) -> Option<TableId>,
    ) -> Result<Vec<(TableId, String)>> {
        let ast::Statement::Drop {
            names, if_exists, ..
        } = syntax
        else {
            return refuse("this statement", None);
        };
        let mut going: Vec<(TableId, String)> = Vec::new();
        for name in names {
            let (relation, at) = (self.relation(name)?, name::object_place(name));
            match find(self.catalog, &relation) {
                Some(id) if going.iter().any(|(other, _)| *other == id) => {}
                Some(id) => going.push((id, self.shown_name(&relation))),
                None if self.catalog.has_name(&relation) => {
                    let other = self.kind_of(&relation);
                    let message = format!("\"{}\" is not a {kind}", relation.name());
                    let article = if other == "INDEX" { "an" } else { "a" };
                    let lower = other.to_lowercase();
                    return Err(Error::new(state::WRONG_OBJECT_TYPE, message)
                        .with_hint(format!("Use DROP {other} to remove {article} {lower}."))
                        .at(at));
                }
                None if *if_exists => {}
                None => {
                    self.relation_there(name)?;
                    let message = format!("{kind} \"{}\" does not exist", relation.name());
                    return Err(Error::new(state::UNDEFINED_TABLE, message).at(at));
                }
            }
        }
        Ok(going)
    }

    /// What a relation is, as DROP calls it.
    pub(super) fn kind_of(&self, relation: &Located) -> &'static str {
        if let Some(table) = self.catalog.table(relation) {
            match table.def.materialized {
                Some(_) => "MATERIALIZED VIEW",
                None => "TABLE",
            }
        } else if self.catalog.view(relation).is_some() {
            "VIEW"
        } else if self.catalog.sequence(relation).is_some() {
            "SEQUENCE"
        } else {
            "INDEX"
        }
    }
}

/// A table of that name without columns.
pub(super) fn new_table(located: Located) -> TableDef {
    TableDef {
        schema: located.schema,
        ..TableDef::new(located.written.name, Vec::new())
    }
}

/// What becomes of a table at the end of a transaction.
pub(super) fn on_commit(
    syntax: Option<ast::OnCommit>,
    schema: SchemaId,
    at: Option<Position>,
) -> Result<OnCommit> {
    let Some(syntax) = syntax else {
        return Ok(OnCommit::Preserve);
    };
    if !schema.is_temporary() {
        let message = "ON COMMIT can only be used on temporary tables";
        return Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at));
    }
    Ok(match syntax {
        ast::OnCommit::PreserveRows => OnCommit::Preserve,
        ast::OnCommit::DeleteRows => OnCommit::Delete,
        ast::OnCommit::Drop => OnCommit::Drop,
    })
}

/// Whether a DROP takes along what depends on what it names.
pub(super) fn is_cascade(syntax: &ast::Statement) -> bool {
    matches!(syntax, ast::Statement::Drop { cascade: true, .. })
}

/// The complaint about a constraint whose name the table has for another one.
pub(super) fn taken_constraint(name: &str, table: &str) -> Error {
    let message = format!("constraint \"{name}\" for relation \"{table}\" already exists");
    Error::new(state::DUPLICATE_OBJECT, message)
}

/// Claims the names of the checks and foreign keys that the table has, and those that new checks were given.
///
/// # Errors
/// 42710 where a new check has the name of another constraint.
fn claim_constraints(draft: &Draft<'_>, names: &mut Names<'_>) -> Result<()> {
    let table = &draft.table;
    let checks = table.checks.iter().map(|check| &check.name);
    for name in checks.chain(table.foreign_keys.iter().map(|key| &key.name)) {
        names.claim_constraint(name);
    }
    for name in draft.checks.iter().filter_map(|(name, ..)| name.as_ref()) {
        if !names.claim_constraint(name) {
            return Err(taken_constraint(name, &table.name));
        }
    }
    Ok(())
}

/// Whether a collation stands for these words.
fn is_mark(collation: &ast::ObjectName, words: &str) -> bool {
    matches!(name::parts(collation).as_deref(), Ok([ident])
        if ident.quote_style.is_none() && ident.value == words)
}

fn refuse_clauses(create: &ast::CreateTable, at: Option<Position>) -> Result<()> {
    let clauses = [
        (create.query.is_some(), "CREATE TABLE AS"),
        (create.like.is_some(), "CREATE TABLE .. LIKE"),
        (create.inherits.is_some(), "INHERITS"),
        (
            create.partition_by.is_some() || create.partition_of.is_some(),
            "PARTITION",
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
