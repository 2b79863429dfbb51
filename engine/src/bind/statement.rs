//! Statements: which file binds which.

use super::Binder;
use crate::error::Result;
use crate::parse::refuse;
use crate::plan::logical::{LogicalStatement, Query};
use sqlparser::ast::{self, ObjectType, SetExpr};

/// A bound statement and PostgreSQL's command tag.
pub(super) type Tagged = (LogicalStatement, &'static str);

impl<'a> Binder<'a> {
    /// Binds a statement.
    pub(super) fn statement(&mut self, syntax: &'a ast::Statement) -> Result<Tagged> {
        use ast::Statement as S;
        let done = |statement, tag| Ok((LogicalStatement::Done(statement), tag));
        match syntax {
            S::Query(query) if changes(query).is_some() => {
                self.outermost = Some(query);
                self.with_change(query)
            }
            S::Query(query) => {
                self.outermost = Some(query);
                let relation = self.query_here(query, self.wanted)?;
                let query: Query = self.with_names(query, relation)?.into();
                let statement = match self.locks {
                    Some(strength) => LogicalStatement::Locking(query, strength),
                    None => LogicalStatement::Query(query),
                };
                Ok((statement, "SELECT"))
            }
            S::Insert(insert) => {
                let change = self.changing(|binder| binder.insert(insert))?;
                Ok((self.asking_afterwards(change), "INSERT"))
            }
            S::Update(update) => {
                let change = self.changing(|binder| binder.update(update))?;
                Ok((self.asking_afterwards(change), "UPDATE"))
            }
            S::Delete(delete) => {
                let change = self.changing(|binder| binder.delete(delete))?;
                Ok((self.asking_afterwards(change), "DELETE"))
            }
            S::Merge(merge) => {
                let change = self.changing(|binder| binder.merge(merge))?;
                Ok((self.asking_afterwards(change), "MERGE"))
            }
            S::Truncate(truncate) => Ok((self.truncate(truncate)?, "TRUNCATE TABLE")),
            S::CreateTable(table) => done(self.create_table(table)?, "CREATE TABLE"),
            S::CreateIndex(index) => Ok((self.create_index(index)?, "CREATE INDEX")),
            S::AlterTable(alter) => Ok((self.alter_table(alter)?, "ALTER TABLE")),
            S::AlterIndex { name, operation } => {
                done(self.alter_index(name, operation)?, "ALTER INDEX")
            }
            S::Drop { object_type, .. } => match object_type {
                ObjectType::Table => done(self.drop_tables(syntax)?, "DROP TABLE"),
                ObjectType::MaterializedView => {
                    done(self.drop_materialized(syntax)?, "DROP MATERIALIZED VIEW")
                }
                ObjectType::View => done(self.drop_views(syntax)?, "DROP VIEW"),
                ObjectType::Index => done(self.drop_indexes(syntax)?, "DROP INDEX"),
                ObjectType::Sequence => done(self.drop_sequences(syntax)?, "DROP SEQUENCE"),
                ObjectType::Type => Ok((self.drop_types(syntax)?, "DROP TYPE")),
                ObjectType::Schema => Ok((self.drop_schemas(syntax)?, "DROP SCHEMA")),
                _ => self.utility(syntax),
            },
            S::CreateView(view) if view.materialized => self.create_materialized(view),
            S::CreateView(view) => done(self.create_view(view)?, "CREATE VIEW"),
            S::CreateSchema {
                schema_name,
                or_replace: false,
                if_not_exists,
                with: None,
                options: None,
                default_collate_spec: None,
                clone: None,
            } => done(
                self.create_schema(schema_name, *if_not_exists)?,
                "CREATE SCHEMA",
            ),
            S::Comment {
                object_type,
                object_name,
                comment,
                if_exists: false,
            } => done(
                self.comment(*object_type, object_name, comment.as_deref())?,
                "COMMENT",
            ),
            S::CreateType {
                name,
                representation,
            } => done(
                self.create_type(name, representation.as_ref())?,
                "CREATE TYPE",
            ),
            S::AlterSchema(alter) => done(self.alter_schema(alter)?, "ALTER SCHEMA"),
            S::Copy { .. } => Ok((self.copy(syntax)?, "COPY")),
            S::Explain { .. } => Ok((self.explain(syntax)?, "EXPLAIN")),
            _ => self.utility(syntax),
        }
    }

    /// WITH before a change.
    pub(super) fn with_change(&mut self, query: &'a ast::Query) -> Result<Tagged> {
        let is_bare = query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty();
        match changes(query) {
            Some(change) if is_bare => {
                let outer = self.with.len();
                self.with_queries(query)?;
                let bound = self.statement(change)?;
                self.check_unnamed(query)?;
                self.with.truncate(outer);
                Ok(bound)
            }
            _ => refuse("this clause of a change", None),
        }
    }
}

/// The change that a query with WITH is, if it is one.
pub(super) fn changes(query: &ast::Query) -> Option<&ast::Statement> {
    match &*query.body {
        SetExpr::Insert(change)
        | SetExpr::Update(change)
        | SetExpr::Delete(change)
        | SetExpr::Merge(change) => Some(change),
        _ => None,
    }
}
