//! The body of a function in SQL, bound by a binder of its own.
//!
//! It sees no table or WITH query of the query around the call, but its parameters, as if they were columns of a row
//! around it ([`super::around`]): by their names, or as `$n`.
//!
//! What it shows is cast to what the function is said to give, as by an assignment.

use super::coerce::cast;
use super::query::Relation;
use super::routine::invalid;
use super::routine_match::signature;
use super::scope::{Scope, ScopeColumn};
use super::view::Record;
use super::{Binder, Bound, Clause, Context};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::{CastContext, cast_context};
use crate::parse::{Syntax, parse, refuse};
use crate::plan::logical::Logical;
use crate::plan::{Expr, ExprKind};
use remora_storage::DataType;
use remora_storage::catalog::{FunctionBody, FunctionDef, FunctionResult};
use sqlparser::ast;

/// Calls put in place in one statement: bodies that call others twice could double for ever.
pub(super) const CALLS_MAX: usize = 10_000;
/// Bodies bound in one statement. One that is nothing but an expression is bound once, however often it is called.
const BODIES_MAX: usize = 1_000;

/// A body that is nothing but an expression, and how many calls are in it.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    body: Body,
    calls: usize,
    /// Of the parameters, which are others at each call of a polymorphic function.
    types: Vec<DataType>,
}

impl Plain {
    fn is_of(&self, def: &FunctionDef) -> bool {
        def.types().eq(self.types.iter().copied())
    }
}

/// The body of a function, bound.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) plan: Logical,
    /// What it shows: columns of the plan, cast to the types that the function gives.
    pub(super) values: Vec<(String, Expr)>,
    /// Columns that stand for parameters, by position.
    pub(super) variables: Vec<(usize, usize)>,
}

impl<'a> Binder<'a> {
    /// Lets a binder that sees nothing of the query around count on with this one.
    pub(super) fn lend(&mut self, inner: &mut Binder<'_>) {
        inner.depth = self.depth;
        inner.from_items = self.from_items;
        inner.calls = self.calls;
        inner.bodies = self.bodies;
        inner.plain = std::mem::take(&mut self.plain);
        inner.routines = std::mem::take(&mut self.routines);
        inner.columns = std::mem::take(&mut self.columns);
    }

    /// Goes on counting where it has come to.
    pub(super) fn take_back(&mut self, inner: Binder<'_>) {
        self.columns = inner.columns;
        self.routines = inner.routines;
        self.from_items = inner.from_items;
        self.calls = inner.calls;
        self.bodies = inner.bodies;
        self.plain = inner.plain;
        self.needs |= inner.needs;
        self.shows_commits |= inner.shows_commits;
    }

    fn count_calls(&mut self, more: usize, at: Option<Position>) -> Result<()> {
        self.calls = self.calls.saturating_add(more);
        if self.calls <= CALLS_MAX {
            return Ok(());
        }
        let message = format!("a statement can call functions in SQL at most {CALLS_MAX} times");
        Err(Error::new(state::PROGRAM_LIMIT_EXCEEDED, message).at(at))
    }

    /// The value of a call whose body has been bound before, where that is nothing but an expression; `make` puts
    /// the arguments into it.
    pub(super) fn value_again(
        &mut self,
        def: &FunctionDef,
        at: Option<Position>,
        make: impl FnOnce(&Body) -> Option<Expr>,
    ) -> Result<Option<Expr>> {
        let found = self.plain.get(&def.id).filter(|plain| plain.is_of(def));
        let found = found.and_then(|plain| Some((make(&plain.body)?, plain.calls)));
        let Some((value, calls)) = found else {
            return Ok(None);
        };
        self.count_calls(1 + calls, at)?;
        Ok(Some(value))
    }

    /// Binds the body of a function that is called.
    pub(super) fn called_body(&mut self, def: &FunctionDef, at: Option<Position>) -> Result<Body> {
        if self.routines.contains(&def.id) {
            return Err(sql_error!(STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .with_detail(format!(
                    "Function {} calls itself: bodies of functions are put in place of their calls.",
                    signature(def)
                ))
                .at(at));
        }
        let before = self.calls;
        self.count_calls(1, at)?;
        self.bodies += 1;
        if self.bodies > BODIES_MAX {
            let message =
                format!("a statement can have at most {BODIES_MAX} bodies of functions in SQL");
            return Err(Error::new(state::PROGRAM_LIMIT_EXCEEDED, message).at(at));
        }
        self.routines.push(def.id);
        // A query within a query weighs twice: much lies on the stack between them.
        let body = self.deeper(at, |binder| {
            binder.deeper(at, |binder| binder.body(def, None).map(|(body, _)| body))
        });
        self.routines.pop();
        if let Ok(body) = &body
            && body.is_plain()
        {
            let calls = self.calls - before - 1;
            let body = body.clone();
            let types = def.types().collect();
            self.plain.insert(def.id, Plain { body, calls, types });
        }
        body.map_err(|error| match error.sqlstate() {
            state::STATEMENT_TOO_COMPLEX if error.detail().is_none() => {
                sql_error!(STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").at(at)
            }
            _ => error.moved(at),
        })
    }

    /// Binds the body of a function over parameters that have columns of their own.
    ///
    /// # Errors
    /// 42P13 where it does not give what the function is said to.
    pub(super) fn body(
        &mut self,
        def: &FunctionDef,
        record: Option<Record>,
    ) -> Result<(Body, Option<Record>)> {
        let now = self.as_of_now(def);
        let def = now.as_ref().unwrap_or(def);
        let types = result_types(&def.returns);
        let (text, sources) = match &def.body {
            FunctionBody::Text(text) => (text, None),
            FunctionBody::Bound { query, sources } => (query, Some(sources)),
        };
        let parsed = parse(text)?;
        let query = last_query(&parsed, def)?;
        let mut inner = Binder::new(self.catalog);
        inner.path = self.path;
        self.lend(&mut inner);
        inner.record = record;
        // While it is being made, what it names is looked up.
        inner.names = sources
            .filter(|sources| !sources.is_empty())
            .map(Vec::as_slice);
        let bound = inner.body_query(def, query);
        let record = inner.record.take();
        if inner.routines.is_empty() {
            // Who asks what a body names asks by binding it alone.
            self.mentions.get_mut().append(inner.mentions.get_mut());
        }
        self.take_back(inner);
        let (relation, variables) = bound?;
        let values = results(&relation, def, &types, &self.columns)?;
        let plan = relation.plan;
        let body = Body {
            plan,
            values,
            variables,
        };
        Ok((body, record))
    }

    /// A function that gives rows of a table which has other columns since.
    fn as_of_now(&self, def: &FunctionDef) -> Option<FunctionDef> {
        let now = self.row_of_relation(def.rows_of()?)?;
        let mut def = def.clone();
        match &mut def.returns {
            FunctionResult::Row { columns, .. } | FunctionResult::Rows { columns, .. } => {
                *columns = now;
            }
            _ => return None,
        }
        Some(def)
    }

    /// Binds a body's query; gives the columns that stand for parameters, with their positions.
    fn body_query(
        &mut self,
        def: &FunctionDef,
        query: &'a ast::Query,
    ) -> Result<(Relation, Vec<(usize, usize)>)> {
        let mut scope = Scope::of(def.name.clone(), None, Vec::new());
        let mut numbers = Vec::with_capacity(def.parameters.len());
        for parameter in &def.parameters {
            let name = parameter.name.clone().unwrap_or_default();
            let column = self.columns.add(&name, parameter.data_type);
            numbers.push(column);
            if parameter.name.is_some() {
                scope.columns.push(ScopeColumn::new(
                    Some(def.name.clone()),
                    name,
                    column,
                    parameter.data_type,
                ));
            }
        }
        self.body_parameters = Some(numbers.clone());
        let mut cx = Context::new(&scope, Clause::Select);
        let (relation, captured) = self.within(&mut cx, |binder| {
            // What is untyped becomes text: nothing says that it is what the function gives.
            binder.query(query, &[])
        })?;
        if !relation.rows.is_empty() {
            return refuse("FOR UPDATE or FOR SHARE in a function", None);
        }
        let variables = captured.into_iter().filter_map(|captured| {
            let ExprKind::Column(column) = captured.expr.kind else {
                return None;
            };
            let position = numbers.iter().position(|number| *number == column)?;
            Some((captured.variable, position))
        });
        Ok((relation, variables.collect()))
    }

    /// What `$n` in a body stands for.
    pub(super) fn body_parameter(&mut self, index: usize, at: Option<Position>) -> Option<Bound> {
        let column = *self.body_parameters.as_ref()?.get(index)?;
        let value = self.columns.expr(column);
        let data_type = value.data_type;
        let name = format!("${}", index + 1);
        let variable = self.capture(0, &name, value, at);
        Some(Bound::Typed(Expr::column(variable, data_type)))
    }
}

impl Body {
    /// Whether it is nothing but an expression of the parameters, which asks no subquery: it has no columns of its
    /// own, so that it can be put in place as often as one likes.
    fn is_plain(&self) -> bool {
        let Logical::Project { input, exprs } = &self.plan else {
            return false;
        };
        let is_row = matches!(&**input, Logical::Values { rows, .. } if rows.len() == 1);
        is_row && exprs.iter().all(|(_, expr)| !expr.has_subquery())
    }
}

/// The types of what a function gives, in order.
fn result_types(returns: &FunctionResult) -> Vec<DataType> {
    match returns {
        FunctionResult::Nothing => Vec::new(),
        FunctionResult::Value(data_type) | FunctionResult::Values(data_type) => vec![*data_type],
        FunctionResult::Row { columns, .. } | FunctionResult::Rows { columns, .. } => {
            columns.iter().map(|column| column.data_type).collect()
        }
    }
}

/// A function's result as complaints name it.
fn result_name(returns: &FunctionResult) -> String {
    match returns {
        FunctionResult::Nothing => "void".to_owned(),
        FunctionResult::Value(data_type) | FunctionResult::Values(data_type) => {
            data_type.to_string()
        }
        FunctionResult::Rows { columns, .. } if columns.len() == 1 => {
            columns[0].data_type.to_string()
        }
        FunctionResult::Row { .. } | FunctionResult::Rows { .. } => "record".to_owned(),
    }
}

fn mismatch(def: &FunctionDef, detail: impl Into<String>) -> Error {
    let returns = result_name(&def.returns);
    let message = format!("return type mismatch in function declared to return {returns}");
    invalid(message).with_detail(detail)
}

/// The last statement of a body, which gives its rows.
fn last_query<'p>(parsed: &'p [crate::parse::Parsed], def: &FunctionDef) -> Result<&'p ast::Query> {
    let no_rows = || {
        let detail = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.";
        Err(mismatch(def, detail))
    };
    let Some((last, before)) = parsed.split_last() else {
        return match def.returns {
            FunctionResult::Nothing => refuse("an empty body of a function", None),
            _ => no_rows(),
        };
    };
    if !before.is_empty() {
        return refuse("a body of several statements", None);
    }
    match &last.syntax {
        Syntax::Statement(statement) => match &**statement {
            ast::Statement::Query(query) => match super::statement::changes(query) {
                None => Ok(query),
                Some(_) => refuse("changing data in a function", None),
            },
            ast::Statement::Insert(_)
            | ast::Statement::Update(_)
            | ast::Statement::Delete(_)
            | ast::Statement::Merge(_) => refuse("changing data in a function", None),
            _ if def.returns == FunctionResult::Nothing => {
                refuse("this statement in a function", None)
            }
            _ => no_rows(),
        },
        _ => no_rows(),
    }
}

/// What a body's query shows, cast to the types that the function gives.
fn results(
    relation: &Relation,
    def: &FunctionDef,
    types: &[DataType],
    columns: &crate::plan::logical::Columns,
) -> Result<Vec<(String, Expr)>> {
    let is_single = matches!(
        def.returns,
        FunctionResult::Value(_) | FunctionResult::Values(_)
    );
    let outputs = &relation.outputs;
    if def.returns == FunctionResult::Nothing {
        return Ok(Vec::new());
    }
    if outputs.len() != types.len() {
        return Err(mismatch(
            def,
            match is_single {
                true => "Final statement must return exactly one column.",
                false if outputs.len() > types.len() => "Final statement returns too many columns.",
                false => "Final statement returns too few columns.",
            },
        ));
    }
    let names: Vec<&str> = match &def.returns {
        FunctionResult::Row { columns, .. } | FunctionResult::Rows { columns, .. } => {
            columns.iter().map(|column| column.name.as_str()).collect()
        }
        _ => vec![def.name.as_str()],
    };
    let mut values = Vec::with_capacity(types.len());
    for (at, (output, to)) in outputs.iter().zip(types).enumerate() {
        let from = columns.field(output.column).data_type;
        let reaches = from == *to
            || cast_context(from, *to).is_some_and(|needed| needed <= CastContext::Assignment);
        if !reaches {
            let actual = super::coerce::plain(from);
            return Err(mismatch(
                def,
                match is_single || types.len() == 1 {
                    true => format!("Actual return type is {actual}."),
                    false => format!(
                        "Final statement returns {actual} instead of {to} at column {}.",
                        at + 1
                    ),
                },
            ));
        }
        let value = cast(Expr::column(output.column, from), *to, false);
        values.push((names[at].to_owned(), value));
    }
    Ok(values)
}
