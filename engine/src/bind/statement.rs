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
            S::Query(query) if changes(query).is_some() => self.with_change(query),
            S::Query(query) => {
                let query: Query = self.query(query, &[])?.into();
                let statement = match self.locks {
                    Some(strength) => LogicalStatement::Locking(query, strength),
                    None => LogicalStatement::Query(query),
                };
                Ok((statement, "SELECT"))
            }
            S::Insert(insert) => Ok((self.insert(insert)?, "INSERT")),
            S::Update(update) => Ok((self.update(update)?, "UPDATE")),
            S::Delete(delete) => Ok((self.delete(delete)?, "DELETE")),
            S::Merge(merge) => Ok((self.merge(merge)?, "MERGE")),
            S::Truncate(truncate) => Ok((self.truncate(truncate)?, "TRUNCATE TABLE")),
            S::CreateTable(table) => done(self.create_table(table)?, "CREATE TABLE"),
            S::CreateIndex(index) => done(self.create_index(index)?, "CREATE INDEX"),
            S::AlterTable(alter) => Ok((self.alter_table(alter)?, "ALTER TABLE")),
            S::AlterIndex { name, operation } => {
                done(self.alter_index(name, operation)?, "ALTER INDEX")
            }
            S::Drop {
                object_type: ObjectType::Table,
                ..
            } => done(self.drop_tables(syntax)?, "DROP TABLE"),
            S::CreateView(view) => done(self.create_view(view)?, "CREATE VIEW"),
            S::Drop {
                object_type: ObjectType::View,
                ..
            } => done(self.drop_views(syntax)?, "DROP VIEW"),
            S::Drop {
                object_type: ObjectType::Index,
                ..
            } => done(self.drop_indexes(syntax)?, "DROP INDEX"),
            S::Drop {
                object_type: ObjectType::Sequence,
                ..
            } => done(self.drop_sequences(syntax)?, "DROP SEQUENCE"),
            S::Copy { .. } => Ok((self.copy(syntax)?, "COPY")),
            S::Explain { .. } => Ok((self.explain(syntax)?, "EXPLAIN")),
            _ => self.utility(syntax),
        }
    }

    /// WITH before a change.
    fn with_change(&mut self, query: &'a ast::Query) -> Result<Tagged> {
        let is_bare = query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty();
        match changes(query) {
            Some(change) if is_bare => {
                self.with_queries(query)?;
                self.statement(change)
            }
            _ => refuse("this clause of a change", None),
        }
    }

    /// EXPLAIN of a query or a change.
    fn explain(&mut self, syntax: &'a ast::Statement) -> Result<LogicalStatement> {
        use ast::Statement as S;
        let S::Explain {
            analyze: false,
            verbose: false,
            query_plan: false,
            estimate: false,
            statement,
            format: None,
            options: None,
            ..
        } = syntax
        else {
            return refuse("an option of EXPLAIN", None);
        };
        match &**statement {
            S::Query(_) | S::Insert(_) | S::Update(_) | S::Delete(_) | S::Merge(_) => {
                let (inner, _) = self.statement(statement)?;
                Ok(LogicalStatement::Explain(Box::new(inner)))
            }
            _ => refuse("EXPLAIN of this statement", None),
        }
    }
}

/// The change that a query with WITH is, if it is one.
fn changes(query: &ast::Query) -> Option<&ast::Statement> {
    match &*query.body {
        SetExpr::Insert(change)
        | SetExpr::Update(change)
        | SetExpr::Delete(change)
        | SetExpr::Merge(change) => Some(change),
        _ => None,
    }
}
