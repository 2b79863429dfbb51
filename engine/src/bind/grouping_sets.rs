//! GROUP BY with ROLLUP, CUBE and GROUPING SETS, and `grouping(..)`, which tells the sets' rows apart.
//!
//! Each item of GROUP BY is a list of sets: an expression is one set of itself, `ROLLUP (a, b)` is `(a, b)`, `(a)`
//! and `()`, `CUBE (a, b)` has all parts of `(a, b)`. Several items are multiplied: every set of one with every set
//! of the other.

use super::expr::start;
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::refuse;
use crate::plan::Expr;
use crate::plan::grouping_sets::GroupingSets;
use remora_storage::DataType;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};

/// Sets of one GROUP BY.
const SETS_MAX: usize = 4096;
/// Elements of a CUBE, and arguments of `grouping`, which gives an INTEGER.
const CUBE_MAX: usize = 12;
const GROUPING_MAX: usize = 31;

/// A call of `grouping`.
#[derive(Clone, Debug)]
pub(super) struct GroupingCall {
    /// The column that stands for it.
    pub(super) column: usize,
    arguments: Vec<(Expr, Option<Position>)>,
}

/// What GROUP BY groups by: the expressions, and the sets if there are other ones than that of all.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) exprs: Vec<Expr>,
    pub(super) sets: Option<GroupingSets>,
}

/// Lists of positions among the expressions.
type Sets = Vec<Vec<usize>>;

impl Groups {
    /// The position of an expression, which is added if it is new.
    pub(super) fn place(&mut self, expr: Expr) -> usize {
        let known = self.exprs.iter().position(|found| found.same(&expr));
        known.unwrap_or_else(|| {
            self.exprs.push(expr);
            self.exprs.len() - 1
        })
    }

    /// Adds what is asked by `grouping`.
    ///
    /// # Errors
    /// 42803 where it asks for something that is not grouped by.
    pub(super) fn ask(&mut self, calls: &[GroupingCall]) -> Result<()> {
        let mut groupings = Vec::with_capacity(calls.len());
        for call in calls {
            let mut asked = Vec::with_capacity(call.arguments.len());
            for (argument, at) in &call.arguments {
                let found = self.exprs.iter().position(|group| group.same(argument));
                asked.push(found.ok_or_else(|| not_grouped().at(*at))?);
            }
            groupings.push((call.column, asked));
        }
        if !groupings.is_empty() {
            let all = || GroupingSets {
                sets: vec![(0..self.exprs.len()).collect()],
                groupings: Vec::new(),
            };
            self.sets.get_or_insert_with(all).groupings = groupings;
        }
        Ok(())
    }
}

fn not_grouped() -> Error {
    let message =
        "arguments to GROUPING must be grouping expressions of the associated query level";
    Error::new(state::GROUPING_ERROR, message)
}

impl<'a> Binder<'a> {
    /// The sets of all items of a GROUP BY; `bind` says which group an expression is.
    pub(super) fn grouping_sets(
        &mut self,
        items: &'a [ast::Expr],
        bind: &mut dyn FnMut(&mut Self, &'a ast::Expr) -> Result<usize>,
    ) -> Result<Sets> {
        let mut all: Sets = vec![Vec::new()];
        for item in items {
            let sets = self.item_sets(item, bind)?;
            if all.len() * sets.len() > SETS_MAX {
                let message = format!("too many grouping sets present (maximum {SETS_MAX})");
                return Err(Error::new(state::STATEMENT_TOO_COMPLEX, message).at(start(item)));
            }
            let with = |one: &Vec<usize>| {
                let pair = |two: &Vec<usize>| union(one, two);
                sets.iter().map(pair).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        Ok(all)
    }

    fn item_sets(
        &mut self,
        item: &'a ast::Expr,
        bind: &mut dyn FnMut(&mut Self, &'a ast::Expr) -> Result<usize>,
    ) -> Result<Sets> {
        use ast::Expr as E;
        match item {
            E::Rollup(lists) => Ok(rollup(&self.lists(lists, bind)?)),
            E::Cube(lists) => {
                let lists = self.lists(lists, bind)?;
                cube(&lists).map_err(|error| error.at(first_place(item)))
            }
            E::GroupingSets(lists) => {
                let mut sets = Sets::new();
                for list in lists {
                    match list.as_slice() {
                        [one] => sets.extend(self.nested_sets(one, bind)?),
                        _ => sets.push(self.list(list, bind)?),
                    }
                    check_count(&sets).map_err(|error| error.at(first_place(item)))?;
                }
                Ok(sets)
            }
            E::Tuple(list) => Ok(vec![self.list(list, bind)?]),
            other => Ok(vec![vec![bind(self, other)?]]),
        }
    }

    /// An element of GROUPING SETS. ROLLUP and CUBE look like calls there.
    fn nested_sets(
        &mut self,
        item: &'a ast::Expr,
        bind: &mut dyn FnMut(&mut Self, &'a ast::Expr) -> Result<usize>,
    ) -> Result<Sets> {
        let ast::Expr::Function(call) = item else {
            return self.item_sets(item, bind);
        };
        let kind = name::function(&call.name)?;
        let FunctionArguments::List(arguments) = &call.args else {
            return self.item_sets(item, bind);
        };
        if !matches!(kind.as_str(), "rollup" | "cube") {
            return self.item_sets(item, bind);
        }
        let mut lists = Sets::new();
        for argument in &arguments.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                return refuse("this element of GROUPING SETS", start(item));
            };
            lists.push(match argument {
                ast::Expr::Tuple(list) => self.list(list, bind)?,
                one => vec![bind(self, one)?],
            });
        }
        match kind.as_str() {
            "rollup" => Ok(rollup(&lists)),
            _ => cube(&lists).map_err(|error| error.at(start(item))),
        }
    }

    fn lists(
        &mut self,
        lists: &'a [Vec<ast::Expr>],
        bind: &mut dyn FnMut(&mut Self, &'a ast::Expr) -> Result<usize>,
    ) -> Result<Sets> {
        lists.iter().map(|list| self.list(list, bind)).collect()
    }

    fn list(
        &mut self,
        list: &'a [ast::Expr],
        bind: &mut dyn FnMut(&mut Self, &'a ast::Expr) -> Result<usize>,
    ) -> Result<Vec<usize>> {
        let mut set = Vec::with_capacity(list.len());
        for expr in list {
            // Rows in rows are their parts.
            let groups = match expr {
                ast::Expr::Tuple(inner) => self.list(inner, bind)?,
                one => vec![bind(self, one)?],
            };
            set = union(&set, &groups);
        }
        Ok(set)
    }

    /// `grouping(a, b, ..)`, where aggregates may be.
    pub(super) fn grouping_call(
        &mut self,
        syntax: &'a ast::Function,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = name::object_place(&syntax.name);
        if cx.in_aggregate {
            let message = "aggregate function calls cannot be nested";
            return Err(Error::new(state::GROUPING_ERROR, message).at(at));
        }
        if cx.aggregates.is_none() || cx.clause == Clause::GroupBy {
            let clause = cx.clause.name();
            let message = format!("grouping operations are not allowed in {clause}");
            return Err(Error::new(state::GROUPING_ERROR, message).at(at));
        }
        let FunctionArguments::List(list) = &syntax.args else {
            return Err(name::syntax_error("GROUPING", at));
        };
        if list.args.is_empty() || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
            return Err(name::syntax_error("GROUPING", at));
        }
        if list.args.len() > GROUPING_MAX {
            let message = "GROUPING must have fewer than 32 arguments";
            return Err(Error::new(state::TOO_MANY_ARGUMENTS, message).at(at));
        }
        // They are not evaluated, so that columns in them are not used either.
        let outside = std::mem::replace(&mut cx.in_aggregate, true);
        let mut arguments = Vec::with_capacity(list.args.len());
        for argument in &list.args {
            let bound = self.argument(argument, at, cx);
            let place = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => start(expr),
                _ => at,
            };
            arguments.push((bound, place));
        }
        cx.in_aggregate = outside;
        let settled = arguments.into_iter();
        let settled = settled.map(|(bound, at)| Ok((self.settle(bound?)?, at)));
        let arguments = settled.collect::<Result<_>>()?;
        let column = self.columns.add("grouping", DataType::Integer);
        cx.groupings.push(GroupingCall { column, arguments });
        Ok(Bound::Typed(Expr::column(column, DataType::Integer)))
    }
}

/// All of both, each once.
fn union(one: &[usize], two: &[usize]) -> Vec<usize> {
    let mut all = one.to_vec();
    all.extend(two.iter().filter(|group| !one.contains(group)));
    all
}

/// Of lists that are put together, each once.
fn flat(lists: &[&Vec<usize>]) -> Vec<usize> {
    lists.iter().fold(Vec::new(), |all, list| union(&all, list))
}

/// All first stretches of the lists, the longest first.
fn rollup(lists: &[Vec<usize>]) -> Sets {
    let lists: Vec<_> = lists.iter().collect();
    (0..=lists.len())
        .rev()
        .map(|length| flat(&lists[..length]))
        .collect()
}

/// All choices of the lists, the whole first.
fn cube(lists: &[Vec<usize>]) -> Result<Sets> {
    if lists.len() > CUBE_MAX {
        let message = format!("CUBE is limited to {CUBE_MAX} elements");
        return Err(Error::new(state::TOO_MANY_COLUMNS, message));
    }
    let choice = |bits: usize| {
        let chosen = lists.iter().enumerate();
        let chosen = chosen.filter(|(at, _)| bits >> (lists.len() - 1 - at) & 1 == 1);
        flat(&chosen.map(|(_, list)| list).collect::<Vec<_>>())
    };
    Ok((0..1 << lists.len()).rev().map(choice).collect())
}

fn check_count(sets: &Sets) -> Result<()> {
    match sets.len() > SETS_MAX {
        true => {
            let message = format!("too many grouping sets present (maximum {SETS_MAX})");
            Err(Error::new(state::STATEMENT_TOO_COMPLEX, message))
        }
        false => Ok(()),
    }
}

/// Where the first expression of an item is.
fn first_place(item: &ast::Expr) -> Option<Position> {
    use ast::Expr as E;
    match item {
        E::Rollup(lists) | E::Cube(lists) | E::GroupingSets(lists) => {
            lists.iter().flatten().find_map(start)
        }
        other => start(other),
    }
}
