//! The queries around the one that is being bound, whose columns it can name.
//!
//! ```text
//!   SELECT .. FROM t WHERE x = (SELECT .. FROM u WHERE EXISTS (SELECT .. FROM v WHERE v.y = t.x))
//!   level 0: t                  level 1: u                    the query being bound: v
//! ```
//!
//! A name that the query itself has no column for is looked for level by level, the innermost first. What is
//! found is *captured*: from each level inwards a column is made that stands for the value of the level before
//! (`plan::Subquery::outer`), and the innermost one is what the name means.
//!
//! An item of FROM after LATERAL has the items before it for a level of its own.
//!
//! An aggregate belongs to the nearest query whose columns its arguments name. If that is a query around, the call
//! moves out there, level by level, its arguments written anew over what each level has; and its value is captured like
//! that of a column.
//!
//! A WITH query is bound where it is named, but names what it could name where it is written. So the levels
//! that a name can mean are a chain of their own, and what is captured goes through all levels.

use super::aggregate::{refused, same};
use super::scope::{Scope, ScopeColumn};
use super::{Binder, Clause, Context};
use crate::error::{Position, Result};
use crate::plan::Expr;
use crate::plan::physical::AggregateCall;
use remora_storage::{DataType, TypeId};

/// A query around the one that is being bound.
pub(super) struct Level {
    /// What names mean in it.
    scope: Scope,
    /// The next level that names can mean.
    around: Option<usize>,
    /// What is named further in.
    captured: Vec<Captured>,
    /// As in [`Context::aggregates`]: they are here as long as the query within is being bound.
    aggregates: Option<Vec<(usize, AggregateCall)>>,
    /// The clause that the query within stands in.
    clause: Clause,
    /// Whether it is part of an aggregate's argument.
    in_aggregate: bool,
}

/// A value of a level that is named further in.
pub(super) struct Captured {
    /// The column that stands for it.
    pub variable: usize,
    /// The value.
    pub expr: Expr,
    /// Where it was first named.
    pub at: Option<Position>,
}

/// A column that a name means.
pub(super) struct Found {
    pub column: usize,
    pub data_type: DataType,
    /// Whether it stands for a value of a query around.
    pub is_outer: bool,
}

impl Binder<'_> {
    /// Binds what is within a query at a place in it; gives what was captured beside it.
    pub(super) fn within<T>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<Captured>)> {
        let around = self.visible;
        self.visible = Some(self.around.len());
        self.around.push(Level {
            scope: cx.scope.clone(),
            around,
            captured: Vec::new(),
            aggregates: cx.aggregates.take(),
            clause: cx.clause,
            in_aggregate: cx.in_aggregate,
        });
        let result = f(self);
        self.visible = around;
        let mut captured = Vec::new();
        if let Some(level) = self.around.pop() {
            cx.aggregates = level.aggregates;
            captured = level.captured;
        }
        Ok((result?, captured))
    }

    /// Binds an item of FROM that can name columns of those before it, whose names mean what `scope` says.
    pub(super) fn alongside<T>(
        &mut self,
        scope: &Scope,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<(usize, Expr)>)> {
        let before = self.lateral;
        self.lateral = Some(self.around.len());
        self.around.push(Level {
            scope: scope.clone(),
            around: before.or(self.visible),
            captured: Vec::new(),
            aggregates: None,
            clause: Clause::Lateral,
            in_aggregate: false,
        });
        let result = f(self);
        self.lateral = before;
        let level = self.around.pop();
        let captured = level.map_or_else(Vec::new, |level| level.captured);
        let outer = captured
            .into_iter()
            .map(|found| (found.variable, found.expr));
        Ok((result?, outer.collect()))
    }

    /// Binds what can name the items of FROM before it.
    pub(super) fn laterally<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let around = self.visible;
        self.visible = self.lateral.or(around);
        let result = f(self);
        self.visible = around;
        result
    }

    /// What a name means, here or in a query around.
    ///
    /// # Errors
    /// 42P01, 42702, 42703.
    pub(super) fn lookup(
        &mut self,
        table: Option<&str>,
        name: &str,
        at: Option<Position>,
        cx: &Context<'_>,
    ) -> Result<Found> {
        if let Some(found) = find(cx.scope, table, name, at)? {
            return Ok(Found {
                column: found.column,
                data_type: found.data_type,
                is_outer: false,
            });
        }
        let mut visible = self.visible;
        while let Some(level) = visible {
            if let Some(found) = find(&self.around[level].scope, table, name, at)? {
                let (column, data_type) = (found.column, found.data_type);
                self.note_use(column);
                return Ok(Found {
                    column: self.capture(level, name, Expr::column(column, data_type), at),
                    data_type,
                    is_outer: true,
                });
            }
            visible = self.around[level].around;
        }
        let complaint = match table {
            None => cx.scope.resolve(name, at),
            Some(table) => cx.scope.resolve_qualified(table, name, at),
        };
        complaint.map(|found| Found {
            column: found.column,
            data_type: found.data_type,
            is_outer: false,
        })
    }

    /// Whether a query around has a table of that name.
    pub(super) fn names_around(&self, table: &str) -> bool {
        let mut visible = self.visible;
        while let Some(level) = visible.and_then(|level| self.around.get(level)) {
            if level.scope.has_table(table) {
                return true;
            }
            visible = level.around;
        }
        false
    }

    /// The names of the columns of a table of a query around, and the type of its rows; `None` where there is none of
    /// that name.
    pub(super) fn columns_around(&self, table: &str) -> Option<(Vec<String>, Option<TypeId>)> {
        let mut visible = self.visible;
        while let Some(level) = visible.and_then(|level| self.around.get(level)) {
            if level.scope.has_table(table) {
                let columns = level.scope.table_star(table);
                let names = columns.map(|column| column.name.clone()).collect();
                return Some((names, level.scope.row_type(table)));
            }
            visible = level.around;
        }
        None
    }

    /// How much is captured of each level by now.
    pub(super) fn captured_so_far(&self) -> Vec<usize> {
        let levels = self.around.iter();
        levels.map(|level| level.captured.len()).collect()
    }

    /// The column that stands for an aggregate that belongs to a query around, if it does: nothing that it names
    /// is of the query that is being bound. `before` is what was captured before its arguments were bound.
    ///
    /// # Errors
    /// 42803 where that query can have none there.
    pub(super) fn outer_aggregate(
        &mut self,
        name: &str,
        call: &mut AggregateCall,
        before: &[usize],
        at: Option<Position>,
    ) -> Result<Option<usize>> {
        // Parameters of a function are no row.
        let outermost = usize::from(self.body_parameters.is_some());
        let mut level = self.around.len();
        while level > outermost && self.is_of_outside(call, level - 1) {
            level -= 1;
            let captured = &self.around[level].captured;
            for expr in call.exprs_mut() {
                *expr = outward(expr.clone(), captured);
            }
        }
        if level == self.around.len() {
            return Ok(None);
        }
        // What only its arguments named is no longer named in here.
        for (level, before) in self.around.iter_mut().zip(before).skip(level) {
            level.captured.truncate(*before);
        }
        let (clause, in_aggregate) = (self.around[level].clause, self.around[level].in_aggregate);
        let Some(found) = self.around[level]
            .aggregates
            .as_mut()
            .filter(|_| !in_aggregate)
        else {
            return Err(refused(clause, in_aggregate).at(at));
        };
        let of_aggregate = |column| found.iter().any(|(known, _)| *known == column);
        if call.exprs().flat_map(Expr::columns).any(of_aggregate) {
            return Err(refused(clause, true).at(at));
        }
        let data_type = call.data_type;
        let column = match found.iter().find(|(_, other)| same(call, other)) {
            Some((column, _)) => *column,
            None => {
                let column = self.columns.add_call(name, data_type, &call.arguments);
                found.push((column, call.clone()));
                column
            }
        };
        let value = Expr::column(column, data_type);
        Ok(Some(self.capture(level, name, value, at)))
    }

    /// Whether a call names columns, and all of them stand for values of a level.
    fn is_of_outside(&self, call: &AggregateCall, level: usize) -> bool {
        let captured = &self.around[level].captured;
        let mut named = call.exprs().flat_map(Expr::columns).peekable();
        named.peek().is_some()
            && named.all(|column| captured.iter().any(|found| found.variable == column))
    }

    /// The column that stands, in the query being bound, for a value of a level.
    pub(super) fn capture(
        &mut self,
        level: usize,
        name: &str,
        value: Expr,
        at: Option<Position>,
    ) -> usize {
        self.parts.names_level(level);
        let data_type = value.data_type;
        let mut value = value;
        let mut variable = 0;
        for level in &mut self.around[level..] {
            let known = level.captured.iter().find(|found| found.expr.same(&value));
            variable = match known {
                Some(found) => found.variable,
                None => {
                    let variable = self.columns.add_for(name, &value);
                    level.captured.push(Captured {
                        variable,
                        expr: value,
                        at,
                    });
                    variable
                }
            };
            value = Expr::column(variable, data_type);
        }
        variable
    }
}

/// An expression of a query as one of the query around it.
fn outward(expr: Expr, captured: &[Captured]) -> Expr {
    expr.replace_columns(&mut |column, _| {
        let found = captured.iter().find(|found| found.variable == column);
        found.map(|found| found.expr.clone())
    })
}

/// The column of a scope that a name means; an error only where it means several, or none of a table that is
/// there.
fn find<'s>(
    scope: &'s Scope,
    table: Option<&str>,
    name: &str,
    at: Option<Position>,
) -> Result<Option<&'s ScopeColumn>> {
    match table {
        None => scope.find(name, at),
        Some(table) if scope.has_table(table) => scope.resolve_qualified(table, name, at).map(Some),
        Some(_) => Ok(None),
    }
}
