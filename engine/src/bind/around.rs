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
//! A WITH query is bound where it is named, but names what it could name where it is written. So the levels
//! that a name can mean are a chain of their own, and what is captured goes through all levels.

use super::scope::{Scope, ScopeColumn};
use super::{Binder, Context};
use crate::error::{Position, Result};
use crate::plan::Expr;
use remora_storage::DataType;

/// A query around the one that is being bound.
pub(super) struct Level {
    /// What names mean in it.
    scope: Scope,
    /// The next level that names can mean.
    around: Option<usize>,
    /// What is named further in.
    captured: Vec<Captured>,
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
    /// Binds what is within a query whose names mean what `scope` says; gives what was captured beside it.
    pub(super) fn within<T>(
        &mut self,
        scope: &Scope,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<Captured>)> {
        let around = self.visible;
        self.visible = Some(self.around.len());
        self.around.push(Level {
            scope: scope.clone(),
            around,
            captured: Vec::new(),
        });
        let result = f(self);
        self.visible = around;
        let level = self.around.pop();
        let captured = level.map_or_else(Vec::new, |level| level.captured);
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

    /// Whether a column stands for a value of a query around.
    pub(super) fn is_captured(&self, column: usize) -> bool {
        let level = self.around.last();
        level.is_some_and(|level| level.captured.iter().any(|c| c.variable == column))
    }

    /// The column that stands, in the query being bound, for a value of a level.
    fn capture(&mut self, level: usize, name: &str, value: Expr, at: Option<Position>) -> usize {
        let data_type = value.data_type;
        let mut value = value;
        let mut variable = 0;
        for level in &mut self.around[level..] {
            let known = level.captured.iter().find(|found| found.expr.same(&value));
            variable = match known {
                Some(found) => found.variable,
                None => {
                    let variable = self.columns.add(name, data_type);
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
