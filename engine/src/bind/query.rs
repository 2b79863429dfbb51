//! Queries: WITH, VALUES, ORDER BY and LIMIT around a SELECT or a set operation.

use super::expr::{query_start, start};
use super::literal::beyond_numeric;
use super::locking::{Request, lock_rows};
use super::scope::{Scope, ScopeColumn};
use super::subquery::unwrapped;
use super::{Binder, Bound, Clause, Context, Unknown, coerce};
use crate::error::{Error, Result, state};
use crate::function::cast::{CastContext, cast_context};
use crate::parse::refuse;
use crate::plan::Expr;
use crate::plan::lock::RowLock;
use crate::plan::logical::{Logical, Query};
use remora_storage::{DataType, Numeric, Value};
use sqlparser::ast::{self, SetExpr};

/// A bound query: a plan and what it shows, in order.
pub(super) struct Relation {
    pub plan: Logical,
    pub outputs: Vec<Output>,
    /// What is still to be locked; the plan has the columns.
    pub rows: Vec<RowLock>,
}

/// One thing that a query shows.
#[derive(Clone)]
pub(super) struct Output {
    pub name: String,
    pub column: usize,
    pub data_type: DataType,
    /// Set where it is an untyped literal, shown as text unless the surroundings want otherwise.
    pub unknown: Option<Unknown>,
}

impl Output {
    /// A value of known type.
    pub(super) fn new(column: usize, name: String, data_type: DataType) -> Self {
        Self {
            name,
            column,
            data_type,
            unknown: None,
        }
    }
}

impl Relation {
    /// A query whose rows need not be locked.
    pub(super) fn new(plan: Logical, outputs: Vec<Output>) -> Self {
        let rows = Vec::new();
        Self {
            plan,
            outputs,
            rows,
        }
    }
}

impl From<Relation> for Query {
    fn from(relation: Relation) -> Self {
        let outputs = relation.outputs.into_iter();
        Self {
            plan: relation.plan,
            output: outputs.map(|output| (output.name, output.column)).collect(),
        }
    }
}

impl<'a> Binder<'a> {
    /// Binds a query. `hints` are the types that untyped literals in its select list take.
    pub(super) fn query(&mut self, query: &'a ast::Query, hints: &[DataType]) -> Result<Relation> {
        match locks_rows(query) {
            true => self.locking_part(query, hints),
            false => self.query_here(query, hints),
        }
    }

    /// Binds a query that is run where it stands.
    pub(super) fn query_here(
        &mut self,
        query: &'a ast::Query,
        hints: &[DataType],
    ) -> Result<Relation> {
        let at = query_start(query);
        let odd = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if odd {
            return refuse("this clause of a query", at);
        }
        // From around a subquery, and its own.
        let mut requests = std::mem::take(&mut self.requests);
        requests.append(&mut self.requests(query)?);
        let outer = self.with.len();
        self.with_queries(query)?;
        let relation = self.query_body(query, requests, hints)?;
        self.check_unnamed(query)?;
        self.with.truncate(outer);
        Ok(relation)
    }

    fn query_body(
        &mut self,
        query: &'a ast::Query,
        requests: Vec<Request>,
        hints: &[DataType],
    ) -> Result<Relation> {
        let order = self.order_by(query)?;
        if let Some(request) = requests.first() {
            match &*query.body {
                SetExpr::Values(_) if !query.locks.is_empty() => {
                    return Err(request.refused("cannot be applied to VALUES"));
                }
                SetExpr::SetOperation { .. } => {
                    return Err(request.refused("is not allowed with UNION/INTERSECT/EXCEPT"));
                }
                SetExpr::Select(_) | SetExpr::Query(_) => self.requests = requests,
                _ => {}
            }
        }
        let mut relation = match &*query.body {
            SetExpr::Select(select) => self.select(select, order, hints)?,
            other => {
                let relation = match other {
                    // In parentheses: the rows that it locks are those of this query.
                    SetExpr::Query(inner) => {
                        self.deeper(query_start(inner), |binder| binder.query_here(inner, hints))?
                    }
                    _ => self.set_expr(other, hints)?,
                };
                self.order_outputs(relation, order, matches!(other, SetExpr::Values(_)))?
            }
        };
        let (limit, offset) = self.limits(query)?;
        let ties = query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties);
        let ties = ties.then(|| order_of(&relation.plan)).flatten();
        let is_limited = limit.is_some() || offset.is_some();
        if is_limited || !query.locks.is_empty() {
            lock_rows(&mut relation);
        }
        if let (Some(keys), Some(limit)) = (ties, &limit) {
            relation.plan = Logical::WithTies {
                input: Box::new(relation.plan),
                keys,
                limit: limit.clone(),
                offset,
            };
        } else if is_limited {
            relation.plan = Logical::Limit {
                input: Box::new(relation.plan),
                limit,
                offset,
            };
        }
        Ok(relation)
    }

    pub(super) fn set_expr(&mut self, body: &'a SetExpr, hints: &[DataType]) -> Result<Relation> {
        match body {
            SetExpr::Select(select) => self.select(select, &[], hints),
            SetExpr::Query(query) => {
                self.deeper(query_start(query), |binder| binder.query(query, hints))
            }
            SetExpr::Values(values) => self.values(values, hints),
            SetExpr::SetOperation { .. } => self.set_operations(body),
            _ => refuse("this kind of query", None),
        }
    }

    /// VALUES lists.
    pub(super) fn values(
        &mut self,
        values: &'a ast::Values,
        hints: &[DataType],
    ) -> Result<Relation> {
        let scope = Scope::default();
        let mut cx = Context::new(&scope, Clause::Values);
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let mut by_column: Vec<Vec<Bound>> = vec![Vec::new(); width];
        for row in &values.rows {
            if row.content.len() != width {
                let at = row.content.first().and_then(start);
                return Err(
                    sql_error!(SYNTAX_ERROR, "VALUES lists must all be the same length").at(at),
                );
            }
            for (column, item) in by_column.iter_mut().zip(&row.content) {
                column.push(self.expr(item, &mut cx)?);
            }
        }
        let mut rows = vec![Vec::with_capacity(width); values.rows.len()];
        let mut outputs = Vec::with_capacity(width);
        for (position, column) in by_column.into_iter().enumerate() {
            let untyped = column.iter().all(|bound| bound.data_type().is_none());
            let (exprs, data_type) = match hints.get(position).filter(|_| untyped) {
                Some(hint) => {
                    let exprs = column.into_iter().map(|bound| self.coerce(bound, *hint));
                    (exprs.collect::<Result<Vec<_>>>()?, *hint)
                }
                None => self.unify(column, "VALUES", None)?,
            };
            let name = format!("column{}", position + 1);
            outputs.push(Output::new(
                self.columns.add_call(&name, data_type, &exprs),
                name,
                data_type,
            ));
            for (row, expr) in rows.iter_mut().zip(exprs) {
                row.push(expr);
            }
        }
        Ok(Relation::new(
            Logical::Values {
                columns: outputs.iter().map(|output| output.column).collect(),
                rows,
            },
            outputs,
        ))
    }

    /// LIMIT, OFFSET and FETCH FIRST.
    fn limits(&mut self, query: &'a ast::Query) -> Result<(Option<Expr>, Option<Expr>)> {
        let (mut limit, mut offset) = (None, None);
        match &query.limit_clause {
            None => {}
            Some(ast::LimitClause::LimitOffset {
                limit: count,
                offset: skip,
                limit_by,
            }) if limit_by.is_empty() => {
                limit = count.as_ref();
                offset = skip.as_ref().map(|skip| &skip.value);
            }
            Some(_) => return refuse("this form of LIMIT", query_start(query)),
        }
        let mut one = None;
        match &query.fetch {
            None => {}
            Some(fetch) if fetch.with_ties && query.order_by.is_none() => {
                let message = "WITH TIES cannot be specified without ORDER BY clause";
                return Err(Error::new(state::SYNTAX_ERROR, message));
            }
            Some(fetch) if fetch.with_ties && skips_locked(query) => {
                let message = "SKIP LOCKED and WITH TIES options cannot be used together";
                return Err(Error::new(state::SYNTAX_ERROR, message));
            }
            Some(fetch) if fetch.percent || limit.is_some() => {
                return refuse("this form of FETCH", query_start(query));
            }
            Some(fetch) => match &fetch.quantity {
                Some(count) => limit = Some(count),
                None => {
                    let value = Value::BigInt(1);
                    one = Some(Expr::literal(value, DataType::BigInt));
                }
            },
        }
        let limit = match limit {
            Some(limit) => Some(self.row_count(limit, Clause::Limit)?),
            None => one,
        };
        let offset = match offset {
            Some(offset) => Some(self.row_count(offset, Clause::Offset)?),
            None => None,
        };
        Ok((limit, offset))
    }

    /// An expression that is the same for all rows.
    pub(super) fn without_variables(
        &mut self,
        syntax: &'a ast::Expr,
        clause: Clause,
    ) -> Result<Bound> {
        let scope = Scope::default();
        let bound = self.expr(syntax, &mut Context::new(&scope, clause));
        let is_query = matches!(unwrapped(syntax), ast::Expr::Subquery(_));
        bound.map_err(|error| match error.sqlstate() {
            state::UNDEFINED_COLUMN | state::UNDEFINED_TABLE if !is_query => sql_error!(
                INVALID_COLUMN_REFERENCE,
                "argument of {} must not contain variables",
                counted(clause)
            )
            .at(error.position()),
            _ => error,
        })
    }

    /// Binds a number of rows: of LIMIT, OFFSET, FETCH, or of a frame in rows or groups.
    ///
    /// # Errors
    /// 42804 for another type, 22003 for a number that BIGINT does not hold.
    pub(super) fn row_count(&mut self, syntax: &'a ast::Expr, clause: Clause) -> Result<Expr> {
        let bound = match beyond_numeric(syntax) {
            None => self.without_variables(syntax, clause)?,
            Some(size) if size == Numeric::ZERO => {
                Bound::Typed(Expr::literal(Value::BigInt(0), DataType::BigInt))
            }
            Some(_) => {
                let error = sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
                return Err(error.at(start(syntax)));
            }
        };
        if let Some(from) = bound.data_type() {
            let castable = from == DataType::BigInt
                || cast_context(from, DataType::BigInt)
                    .is_some_and(|needed| needed <= CastContext::Assignment);
            if !castable {
                let message = format!(
                    "argument of {} must be type bigint, not type {}",
                    counted(clause),
                    coerce::plain(from)
                );
                return Err(Error::new(state::DATATYPE_MISMATCH, message).at(start(syntax)));
            }
        }
        self.coerce(bound, DataType::BigInt)
    }
}

/// What a clause that counts rows is called in complaints about the number.
fn counted(clause: Clause) -> &'static str {
    clause.name().trim_start_matches("window ")
}

/// What the rows of a query that is ordered are ordered by.
fn order_of(plan: &Logical) -> Option<Vec<Expr>> {
    match plan {
        Logical::Sort { keys, .. } => Some(keys.iter().map(|key| key.expr.clone()).collect()),
        Logical::DistinctOn { input, .. } => order_of(input),
        _ => None,
    }
}

/// A scope of a query's outputs.
pub(super) fn output_scope(outputs: &[Output]) -> Scope {
    let columns = outputs
        .iter()
        .map(|output| ScopeColumn::new(None, output.name.clone(), output.column, output.data_type));
    Scope {
        columns: columns.collect(),
        tables: Vec::new(),
        ..Scope::default()
    }
}

/// Whether the query has a clause that locks rows.
fn locks_rows(query: &ast::Query) -> bool {
    !query.locks.is_empty() || matches!(&*query.body, SetExpr::Query(inner) if locks_rows(inner))
}

/// Whether rows that others have locked are left out.
fn skips_locked(query: &ast::Query) -> bool {
    let skips = |lock: &ast::LockClause| lock.nonblock == Some(ast::NonBlock::SkipLocked);
    query.locks.iter().any(skips)
}
