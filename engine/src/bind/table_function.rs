//! Table functions: `FROM f(..)` and `SELECT f(..)`.
//!
//! In FROM a function is a table of its rows; one that gives a single value is a table of one row. In a
//! select list or ORDER BY a call becomes a column, which a ProjectSet gives that is put on top of
//! everything but the select list. Calls within the arguments of calls make a ProjectSet below.

use super::expr::start;
use super::from::{Source, rename};
use super::function::is_variadic;
use super::scope::Scope;
use super::{Binder, Bound, Clause, Context, json_record, name};
use crate::error::{Error, Position, Result, state};
use crate::function::ArgumentType;
use crate::function::table::{self, TableCallee, is_table_function};
use crate::parse::{place, refuse};
use crate::plan::logical::Logical;
use crate::plan::project_set::{ProjectSet, TableCall};
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::FunctionResult;
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, FunctionArg};
use std::sync::Arc;

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

    /// Whether a set-returning function may stand there as a value.
    ///
    /// # Errors
    /// 0A000 anywhere but in a select list and ORDER BY.
    pub(super) fn check_set(&self, at: Option<Position>) -> Result<()> {
        let around = match (self.in_aggregate, &self.in_window) {
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
        let complaint = match self.clause {
            Clause::Select | Clause::OrderBy if self.aggregates.is_some() => None,
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
        Ok(())
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
        if self.is_aggregate(&function) {
            let message = "aggregate functions are not allowed in functions in FROM";
            return Err(Error::new(state::GROUPING_ERROR, message).at(at));
        }
        let (bounds, names) = self.call_arguments(&function, arguments, at, &mut cx)?;
        let (mut bounds, names) = self.in_order(&function, bounds, names, at)?;
        let shown = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => function.clone(),
        };
        let is_plain = names.iter().all(Option::is_none);
        if is_plain && self.has_host_rows(&function, &bounds)? {
            let call = self.table_call(&function, bounds, at)?;
            let (plan, columns) = self.rows_of(vec![call], with_ordinality, &shown);
            return self.function_source(plan, columns, shown, alias);
        }
        if let Some(found) = self.routine_of(&function, &names, &bounds, at)?
            && !matches!(
                found.def.returns,
                FunctionResult::Value(_) | FunctionResult::Nothing
            )
        {
            let arguments = self.arguments_of(&found, bounds, at)?;
            let rows = self.routine_rows(&found.def, arguments, &shown, at)?;
            let (plan, columns) = match with_ordinality {
                true => self.numbered(rows),
                false => rows,
            };
            return self.function_source(plan, columns, shown, alias);
        }
        if let Some(reader) = json_record::reader(&function)
            && bounds.len() == 2
            && function.contains("populate")
            && !with_ordinality
        {
            let (document, base) = (bounds.remove(1), bounds.remove(0));
            let (plan, columns) = self.populated_rows(&reader, base, document, at)?;
            return self.function_source(plan, columns, shown, alias);
        }
        if let Some(reader) = json_record::reader(&function)
            && bounds.len() == 1
            && !with_ordinality
        {
            let document = bounds.remove(0);
            let (plan, columns) = self.rows_of_json(&reader, document, alias, at)?;
            return self.named_source(plan, columns, shown, alias);
        }
        let (plan, columns) = match is_table_function(&function) {
            true => {
                let call = self.table_call(&function, bounds, at)?;
                let renamed = alias.is_some_and(|alias| !alias.columns.is_empty());
                if let (TableCallee::System(called), false) = (&call.function, renamed)
                    && let [(column, _)] = called.columns
                {
                    self.values.push((shown.clone(), column));
                }
                self.rows_of(vec![call], with_ordinality, &shown)
            }
            _ if is_variadic(&names) && !self.has_routine(&function) => {
                let value = self.variadic_call(&function, bounds, at)?;
                let value = self.settle(value)?;
                let column = self.columns.add_for(&shown, &value);
                (one_row().project(vec![(column, value)]), vec![column])
            }
            false => self.row_of(
                &function,
                (bounds, &names),
                with_ordinality,
                &shown,
                (at, &mut cx),
            )?,
        };
        self.function_source(plan, columns, shown, alias)
    }

    /// `unnest(arrays)` in FROM: the elements of the arrays side by side.
    pub(super) fn table_of_arrays(
        &mut self,
        arrays: &'a [ast::Expr],
        with_ordinality: bool,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let scope = Scope::default();
        let mut cx = Context::new(&scope, Clause::Functions);
        let mut calls = Vec::with_capacity(arrays.len());
        for array in arrays {
            let bound = self.expr(array, &mut cx)?;
            calls.push(self.table_call("unnest", vec![bound], start(array))?);
        }
        let table = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => "unnest".to_owned(),
        };
        let shown = if arrays.len() == 1 { &table } else { "unnest" };
        let (plan, columns) = self.rows_of(calls, with_ordinality, shown);
        self.function_source(plan, columns, table, alias)
    }

    /// The columns of a call; those that have no names are called as the call is.
    fn add_columns(&mut self, call: &TableCall, shown: &str) -> Vec<usize> {
        let columns = call.columns().into_iter();
        let columns = columns.map(|(name, data_type)| {
            let name = if name.is_empty() { shown } else { name };
            self.columns.add_call(name, data_type, &call.arguments)
        });
        columns.collect()
    }

    /// The rows of table functions, side by side.
    fn rows_of(
        &mut self,
        calls: Vec<TableCall>,
        with_ordinality: bool,
        shown: &str,
    ) -> (Logical, Vec<usize>) {
        let calls = calls.into_iter();
        let calls = calls.map(|call| (self.add_columns(&call, shown), call));
        let calls: Vec<(Vec<usize>, TableCall)> = calls.collect();
        let ordinality = with_ordinality.then(|| self.columns.add("ordinality", DataType::BigInt));
        let columns = calls.iter().flat_map(|(columns, _)| columns).copied();
        let columns = columns.chain(ordinality).collect();
        let plan = Logical::ProjectSet(ProjectSet {
            input: Box::new(one_row()),
            calls,
            ordinality,
        });
        (plan, columns)
    }

    /// The value of any other function, as the only row.
    fn row_of(
        &mut self,
        function: &str,
        (arguments, names): (Vec<Bound>, &[Option<String>]),
        with_ordinality: bool,
        shown: &str,
        (at, cx): (Option<Position>, &mut Context<'_>),
    ) -> Result<(Logical, Vec<usize>)> {
        let value = self.any_call(function, arguments, names, at, cx)?;
        let value = self.settle(value)?;
        if self.fields(value.data_type).is_some() && !with_ordinality {
            return self.spread(one_row(), value, at);
        }
        let mut exprs = vec![(self.columns.add_for(shown, &value), value)];
        if with_ordinality {
            let first = Expr::literal(Value::BigInt(1), DataType::BigInt);
            exprs.push((self.columns.add("ordinality", DataType::BigInt), first));
        }
        let columns = exprs.iter().map(|(column, _)| *column).collect();
        Ok((one_row().project(exprs), columns))
    }

    /// The fields of a record, which is computed once for each row, as columns.
    pub(super) fn spread(
        &mut self,
        input: Logical,
        record: Expr,
        at: Option<Position>,
    ) -> Result<(Logical, Vec<usize>)> {
        let whole = self.columns.add_for("record", &record);
        let fields = Expr::column(whole, record.data_type);
        let input = input.project(vec![(whole, record)]);
        let mut exprs = Vec::new();
        for (name, value) in self.all_fields(Bound::Typed(fields), at)? {
            exprs.push((self.columns.add_for(&name, &value), value));
        }
        let columns = exprs.iter().map(|(column, _)| *column).collect();
        Ok((input.project(exprs), columns))
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
        self.named_source(plan, columns, shown, alias)
    }

    fn named_source(
        &mut self,
        plan: Logical,
        columns: Vec<usize>,
        shown: String,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let columns = columns.into_iter().map(|column| {
            let field = self.columns.field(column);
            (field.name.clone(), column, field.data_type)
        });
        let mut scope = Scope::named(&shown, None, columns);
        rename(&mut scope, alias, &shown)?;
        Ok(Source::new(plan, scope))
    }

    pub(super) fn table_call(
        &mut self,
        function: &str,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<TableCall> {
        let given: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        let name = function;
        let host = self.path.host().table_function(function, &given);
        let (function, types, data_type) = match host.map_err(|error| error.at(at))? {
            Some(found) => {
                let data_type = found.columns[0].1;
                let function = TableCallee::Host(Arc::clone(found));
                (function, found.arguments.clone(), data_type)
            }
            None => {
                let found = table::resolve(function, &given).map_err(|error| error.at(at))?;
                let (function, types) = found;
                (
                    TableCallee::System(function),
                    types.arguments,
                    types.returns,
                )
            }
        };
        let arguments = arguments.into_iter().zip(types);
        let arguments = arguments.map(|(argument, to)| self.coerce(argument, to));
        let arguments: Vec<Expr> = arguments.collect::<Result<_>>()?;
        self.check_search(name, &arguments, at)?;
        Ok(TableCall {
            function,
            arguments,
            data_type,
        })
    }

    /// Whether a table function of the host takes these arguments.
    pub(super) fn has_host_rows(&self, function: &str, arguments: &[Bound]) -> Result<bool> {
        let host = self.path.host();
        if !host.has_table_function(function) {
            return Ok(false);
        }
        let given: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        Ok(host.table_function(function, &given)?.is_some())
    }

    /// A call of a table function where a value is wanted.
    ///
    /// # Errors
    /// As for [`Context::check_set`].
    pub(super) fn set_call(
        &mut self,
        function: &str,
        arguments: Vec<Bound>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        cx.check_set(at)?;
        let call = self.table_call(function, arguments, at)?;
        if call.function.columns().len() > 1 {
            return refuse("a function that gives several columns, as a value", at);
        }
        Ok(self.push_set(function, call, at, cx))
    }

    /// A column that a call in a select list gives.
    pub(super) fn push_set(
        &mut self,
        name: &str,
        call: TableCall,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Bound {
        let data_type = call.data_type;
        let column = self.columns.add_call(name, data_type, &call.arguments);
        cx.sets.push(SetCall { column, call, at });
        Bound::Typed(Expr::column(column, data_type))
    }
}

impl SetCall {
    /// Its arguments.
    pub(super) fn arguments(&mut self) -> &mut [Expr] {
        &mut self.call.arguments
    }

    pub(super) fn names(&self, columns: &[usize]) -> bool {
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
                .map(|set| (vec![set.column], set.call))
                .collect(),
            ordinality: None,
        });
        sets = later;
    }
    plan
}

/// One row without columns.
pub(super) fn one_row() -> Logical {
    Logical::Values {
        columns: Vec::new(),
        rows: vec![Vec::new()],
    }
}
