//! Table functions: `FROM f(..)` and `SELECT f(..)`.
//!
//! In FROM a function is a table of its rows; one that gives a single value is a table of one row. In a
//! select list or ORDER BY a call becomes a column, which a ProjectSet gives that is put on top of
//! everything but the select list. Calls within the arguments of calls make a ProjectSet below.

use super::aggregate::is_aggregate;
use super::from::{Source, rename};
use super::scope::{Scope, ScopeColumn};
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::function::table::{self, is_table_function};
use crate::parse::{place, refuse};
use crate::plan::logical::Logical;
use crate::plan::project_set::{ProjectSet, TableCall};
use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, FunctionArg};

/// Where a set-returning function could go instead.
const HINT: &str = "You might be able to move the set-returning function into a LATERAL FROM item.";

/// A call in a select list.
#[derive(Clone, Debug)]
pub(super) struct SetCall {
    /// The column that stands for it.
    pub(super) column: usize,
    call: TableCall,
    pub(super) at: Option<Position>,
}

impl Context<'_> {
    /// Refuses set-returning functions that came after the first `before`, in what may be evaluated or not.
    pub(super) fn refuse_sets(&self, before: usize, what: &str) -> Result<()> {
        match self.sets.get(before) {
            None => Ok(()),
            Some(set) => {
                let message = format!("set-returning functions are not allowed in {what}");
                let error = Error::new(state::FEATURE_NOT_SUPPORTED, message);
                Err(error.with_hint(HINT).at(set.at))
            }
        }
    }
}

impl<'a> Binder<'a> {
    /// A function in FROM.
    pub(super) fn table_of_function(
        &mut self,
        function: &ast::ObjectName,
        arguments: &'a [FunctionArg],
        with_ordinality: bool,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let at = name::object_place(function);
        let function = name::function(function)?;
        let scope = Scope::default();
        let mut cx = Context::new(&scope, Clause::Functions);
        if is_aggregate(&function) {
            let message = "aggregate functions are not allowed in functions in FROM";
            return Err(Error::new(state::GROUPING_ERROR, message).at(at));
        }
        let mut bounds = Vec::with_capacity(arguments.len());
        for argument in arguments {
            bounds.push(self.argument(argument, at, &mut cx)?);
        }
        let shown = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => function.clone(),
        };
        let (plan, columns) = match is_table_function(&function) {
            true => self.rows_of(&function, bounds, with_ordinality, &shown, at)?,
            false => self.row_of(&function, bounds, with_ordinality, &shown, at)?,
        };
        self.function_source(plan, columns, shown, alias)
    }

    /// The rows of a table function.
    fn rows_of(
        &mut self,
        function: &str,
        arguments: Vec<Bound>,
        with_ordinality: bool,
        shown: &str,
        at: Option<Position>,
    ) -> Result<(Logical, Vec<usize>)> {
        let call = self.table_call(function, arguments, at)?;
        let column = self.columns.add(shown, call.function.returns);
        let ordinality = with_ordinality.then(|| self.columns.add("ordinality", DataType::BigInt));
        let plan = Logical::ProjectSet(ProjectSet {
            input: Box::new(one_row()),
            calls: vec![(column, call)],
            ordinality,
        });
        Ok((plan, std::iter::once(column).chain(ordinality).collect()))
    }

    /// The value of any other function, as the only row.
    fn row_of(
        &mut self,
        function: &str,
        arguments: Vec<Bound>,
        with_ordinality: bool,
        shown: &str,
        at: Option<Position>,
    ) -> Result<(Logical, Vec<usize>)> {
        let value = self.plain_call(function, arguments, at)?;
        let value = self.settle(value)?;
        let mut exprs = vec![(self.columns.add(shown, value.data_type), value)];
        if with_ordinality {
            let first = Expr::literal(Value::BigInt(1), DataType::BigInt);
            exprs.push((self.columns.add("ordinality", DataType::BigInt), first));
        }
        let columns = exprs.iter().map(|(column, _)| *column).collect();
        let plan = Logical::Project {
            input: Box::new(one_row()),
            exprs,
        };
        Ok((plan, columns))
    }

    fn function_source(
        &mut self,
        plan: Logical,
        columns: Vec<usize>,
        shown: String,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let typed = alias.and_then(|alias| {
            let mut columns = alias.columns.iter();
            columns.find(|column| column.data_type.is_some())
        });
        if let Some(column) = typed {
            let message =
                "a column definition list is only allowed for functions returning \"record\"";
            return Err(Error::new(state::SYNTAX_ERROR, message).at(place(column.name.span)));
        }
        let columns = columns.into_iter().map(|column| {
            let field = self.columns.field(column);
            ScopeColumn {
                table: Some(shown.clone()),
                name: field.name.clone(),
                column,
                data_type: field.data_type,
                bare: true,
            }
        });
        let mut scope = Scope {
            columns: columns.collect(),
            tables: vec![(shown.clone(), None)],
        };
        rename(&mut scope, alias, &shown)?;
        Ok(Source {
            plan,
            scope,
            rows: Vec::new(),
        })
    }

    fn table_call(
        &mut self,
        function: &str,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<TableCall> {
        let types: Vec<_> = arguments.iter().map(Bound::data_type).collect();
        let function = table::resolve(function, &types).map_err(|error| error.at(at))?;
        let arguments = arguments.into_iter().zip(function.arguments);
        let arguments = arguments.map(|(argument, to)| self.coerce(argument, *to));
        Ok(TableCall {
            function,
            arguments: arguments.collect::<Result<_>>()?,
        })
    }

    /// A call of a table function where a value is wanted.
    ///
    /// # Errors
    /// 0A000 anywhere but in a select list and ORDER BY.
    pub(super) fn set_call(
        &mut self,
        function: &str,
        arguments: Vec<Bound>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let around = match (cx.in_aggregate, &cx.in_window) {
            (true, _) => Some("aggregate"),
            (false, Some(_)) => Some("window"),
            (false, None) => None,
        };
        if let Some(around) = around {
            let message =
                format!("{around} function calls cannot contain set-returning function calls");
            let error = Error::new(state::FEATURE_NOT_SUPPORTED, message);
            return Err(error.with_hint(HINT).at(at));
        }
        let complaint = match cx.clause {
            Clause::Select | Clause::OrderBy if cx.aggregates.is_some() => None,
            Clause::GroupBy => return refuse("a set-returning function in GROUP BY", at),
            Clause::Functions => {
                Some("set-returning functions must appear at top level of FROM".to_owned())
            }
            other => Some(format!(
                "set-returning functions are not allowed in {}",
                other.name()
            )),
        };
        if let Some(complaint) = complaint {
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, complaint).at(at));
        }
        let call = self.table_call(function, arguments, at)?;
        let data_type = call.function.returns;
        let column = self.columns.add(function, data_type);
        cx.sets.push(SetCall { column, call, at });
        Ok(Bound::Typed(Expr::column(column, data_type)))
    }
}

impl SetCall {
    /// Its arguments.
    pub(super) fn arguments(&mut self) -> &mut [Expr] {
        &mut self.call.arguments
    }

    fn names(&self, columns: &[usize]) -> bool {
        let mut named = |part: &Expr| matches!(part.kind, ExprKind::Column(column) if columns.contains(&column));
        let mut arguments = self.call.arguments.iter();
        arguments.any(|argument| argument.any(&mut named))
    }
}

/// The rows of a plan beside those of the calls.
pub(super) fn project_sets(mut plan: Logical, mut sets: Vec<SetCall>) -> Logical {
    while !sets.is_empty() {
        // A call comes after those in its arguments, so that the first one never waits.
        let waiting: Vec<usize> = sets.iter().map(|set| set.column).collect();
        let (later, ready): (Vec<_>, Vec<_>) =
            sets.into_iter().partition(|set| set.names(&waiting));
        plan = Logical::ProjectSet(ProjectSet {
            input: Box::new(plan),
            calls: ready
                .into_iter()
                .map(|set| (set.column, set.call))
                .collect(),
            ordinality: None,
        });
        sets = later;
    }
    plan
}

/// One row without columns.
fn one_row() -> Logical {
    Logical::Values {
        columns: Vec::new(),
        rows: vec![Vec::new()],
    }
}
