//! FOR UPDATE and its like: which rows of which tables a query locks.
//!
//! 1. A query's clauses become [`Request`]s for its SELECT, together with those that come from outside: a
//!    clause that names a subquery, or no table at all, is about the tables of the subquery.
//! 2. While FROM is bound, each table that is asked for gets a column with its RowIds, and the source a
//!    [`RowLock`] that names the column. These columns pass through the select list and ORDER BY, unseen.
//! 3. The rows are locked below LIMIT and above everything else, so that only those are locked that come
//!    out: in the query that has the clause, or in a subquery that has a limit of its own.
//!
//! The words and SQLSTATEs of errors are PostgreSQL's. One is raised more often: a clause about the nullable
//! side of an outer join is refused also where WHERE makes it an inner one.

use super::query::Relation;
use super::scope::Scope;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{self, place};
use crate::plan::lock::{LockStrength, LockWait, RowLock};
use crate::plan::logical::Logical;
use remora_storage::catalog::TableEntry;
use sqlparser::ast;
use std::sync::Arc;

/// A clause, or what it means for a subquery.
#[derive(Clone, Debug)]
pub(super) struct Request {
    strength: LockStrength,
    wait: LockWait,
    /// The tables it names, by name or alias; empty for all.
    of: Vec<(String, Option<Position>)>,
}

/// How a table is asked for.
pub(super) struct Wanted {
    strength: LockStrength,
    wait: LockWait,
    /// Where it is named, if it is.
    named: Option<Option<Position>>,
}

impl Request {
    fn of(clause: &ast::LockClause) -> Result<Self> {
        let request = parse::request(clause);
        let of = request.of.into_iter();
        let of = of.map(|ident| Ok((name::fold(ident)?, place(ident.span))));
        Ok(Self {
            strength: request.strength,
            wait: request.wait,
            of: of.collect::<Result<_>>()?,
        })
    }

    /// 0A000 for what no row of a table stands behind.
    pub(super) fn refused(&self, why: &str) -> Error {
        sql_error!(FEATURE_NOT_SUPPORTED, "{} {why}", self.strength)
    }
}

impl Wanted {
    /// The same for all tables of a subquery.
    pub(super) fn within(&self) -> Request {
        Request {
            strength: self.strength,
            wait: self.wait,
            of: Vec::new(),
        }
    }

    /// The lock of a table whose RowIds are in a column.
    pub(super) fn lock(&self, table: &Arc<TableEntry>, row: usize) -> RowLock {
        RowLock {
            table: Arc::clone(table),
            row,
            strength: self.strength,
            wait: self.wait,
        }
    }

    /// Whether rows that rivals have are left out.
    pub(super) fn skips(&self) -> bool {
        self.wait == LockWait::Skip
    }

    /// Refuses it, if what cannot be locked was asked for by name.
    pub(super) fn refuse_named(&self, what: &str) -> Result<()> {
        match self.named {
            None => Ok(()),
            Some(at) => {
                let message = format!("{} cannot be applied to {what}", self.strength);
                Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at))
            }
        }
    }
}

impl<'a> Binder<'a> {
    /// The requests of a query's clauses.
    pub(super) fn requests(&mut self, query: &'a ast::Query) -> Result<Vec<Request>> {
        let requests = query.locks.iter().map(Request::of);
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let strongest = requests.iter().map(|request| request.strength).max();
        self.locks = self.locks.max(strongest);
        Ok(requests)
    }

    /// How the SELECT whose FROM is being bound asks for a table; the strongest of all that do.
    pub(super) fn wanted_lock(&self, shown: &str) -> Option<Wanted> {
        let mut found: Option<Wanted> = None;
        for request in &self.locking {
            let named = request.of.iter().find(|(name, _)| name == shown);
            if named.is_none() && !request.of.is_empty() {
                continue;
            }
            let before = found.as_ref();
            found = Some(Wanted {
                strength: before.map_or(request.strength, |found| {
                    found.strength.max(request.strength)
                }),
                wait: before.map_or(request.wait, |found| found.wait.max(request.wait)),
                named: (named.map(|(_, at)| *at)).or(before.and_then(|found| found.named)),
            });
        }
        found
    }

    /// Fails where a clause names what FROM has not.
    pub(super) fn check_named(&self, scope: &Scope) -> Result<()> {
        for request in &self.locking {
            let missing = request.of.iter().find(|(name, _)| !scope.has_table(name));
            if let Some((name, at)) = missing {
                let clause = request.strength;
                let message =
                    format!("relation \"{name}\" in {clause} clause not found in FROM clause");
                return Err(Error::new(state::UNDEFINED_TABLE, message).at(*at));
            }
        }
        Ok(())
    }
}

/// Fails where rows that come out are not rows of tables.
pub(super) fn check_select(
    requests: &[Request],
    select: &ast::Select,
    aggregates: bool,
    windows: bool,
) -> Result<()> {
    let Some(first) = requests.first() else {
        return Ok(());
    };
    let groups = match &select.group_by {
        ast::GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
        ast::GroupByExpr::All(_) => true,
    };
    let distinct = !matches!(select.distinct, None | Some(ast::Distinct::All));
    let refusals = [
        (distinct, "DISTINCT clause"),
        (groups, "GROUP BY clause"),
        (select.having.is_some(), "HAVING clause"),
        (aggregates, "aggregate functions"),
        (windows, "window functions"),
    ];
    match refusals.into_iter().find(|(there, _)| *there) {
        Some((_, what)) => Err(first.refused(&format!("is not allowed with {what}"))),
        None => Ok(()),
    }
}

/// Fails where rows of a side that an outer join fills up with NULLs are locked.
pub(super) fn check_nullable(rows: &[RowLock]) -> Result<()> {
    match rows.first() {
        Some(lock) => Err(sql_error!(
            FEATURE_NOT_SUPPORTED,
            "{} cannot be applied to the nullable side of an outer join",
            lock.strength
        )),
        None => Ok(()),
    }
}

/// Locks what is asked for in the rows of a relation.
pub(super) fn lock_rows(relation: &mut Relation) {
    let locks = std::mem::take(&mut relation.rows);
    if locks.is_empty() {
        return;
    }
    let input = Box::new(relation.plan.take());
    relation.plan = Logical::Lock { input, locks };
}
