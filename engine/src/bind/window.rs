//! Window functions: each call becomes a column that a Window node will give.
//!
//! While the select list and ORDER BY are bound, calls are collected with their windows' definitions
//! ([`Windows`]). Windows take effect after groups and HAVING, and before DISTINCT and ORDER BY: then
//! everything in them is rewritten over the groups as the select list is, and calls whose windows
//! have the same partitions and order become one node. The nodes' order is PostgreSQL's, so that rows
//! of which no order is asked come in the order in which they come there.

use super::aggregate::within_group_required;
use super::coerce::{check_equality, require_type};
use super::collation::{are_pairs, of_pair};
use super::expr::start;
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::common_type;
use crate::function::table::is_table_function;
use crate::function::window::WindowFunction;
use crate::parse::{exclusion, place, refuse};
use crate::plan::collation::Derivation;
use crate::plan::logical::{Columns, Logical};
use crate::plan::window::{Callee, Exclude, Frame, Window, WindowCall};
use crate::plan::{Expr, ExprKind, SortKey};
use sqlparser::ast::{self, DuplicateTreatment, FunctionArgumentList};
use std::cmp::Ordering;

/// The windows of a query, and what is called over them.
#[derive(Default)]
pub(super) struct Windows {
    named: Vec<(String, Definition)>,
    calls: Vec<(usize, Definition, WindowCall)>,
}

/// What a window is: that of a name, or of one call.
#[derive(Clone)]
pub(super) struct Definition {
    partition: Vec<Expr>,
    pub(super) order: Vec<SortKey>,
    frame: Option<Frame>,
}

/// Where an expression stands among windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InWindow {
    /// Among the arguments of a call over one.
    Arguments,
    /// In the definition of one.
    Definition,
}

impl<'a> Binder<'a> {
    /// Allows windows in the context, and binds those that have names.
    pub(super) fn named_windows(
        &mut self,
        select: &'a ast::Select,
        cx: &mut Context<'_>,
    ) -> Result<()> {
        cx.windows = Some(Windows::default());
        for ast::NamedWindowDefinition(ident, found) in &select.named_window {
            let name = name::fold(ident)?;
            let windows = cx.windows.get_or_insert_default();
            if windows.find(&name).is_some() {
                let message = format!("window \"{name}\" is already defined");
                return Err(windowing(message).at(place(ident.span)));
            }
            let ast::NamedWindowExpr::WindowSpec(spec) = found else {
                return refuse("a window that is another", place(ident.span));
            };
            let definition = self.definition(spec, place(ident.span), cx)?;
            let windows = cx.windows.get_or_insert_default();
            windows.named.push((name, definition));
        }
        Ok(())
    }

    /// `name(arguments) OVER window`
    pub(super) fn window_call(
        &mut self,
        name: &str,
        syntax: &'a ast::Function,
        over: &'a ast::WindowType,
        list: Option<&'a FunctionArgumentList>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = name::object_place(&syntax.name);
        check_place(cx, at)?;
        let function = WindowFunction::named(name);
        let definition = self.window_of(over, at, cx)?;
        let outside = cx.in_window.replace(InWindow::Arguments);
        let call = match (function, list) {
            (Some(function), list) => self.own_call(function, syntax, list, at, cx),
            (None, Some(list)) if self.is_aggregate(name) => {
                self.aggregate_over(name, syntax, list, at, cx)
            }
            _ => self.not_of_windows(name, list, at, cx),
        };
        cx.in_window = outside;
        let mut call = call?;
        call.frame = definition.frame.clone().unwrap_or_else(Frame::running);
        let data_type = call.data_type;
        let of_pairs = are_pairs(&call.arguments);
        let windows = cx.windows.get_or_insert_default();
        let alike = |(_, window, other): &&(usize, Definition, WindowCall)| {
            window.same(&definition) && same_call(&call, other)
        };
        let column = match windows.calls.iter().find(alike) {
            Some((column, ..)) => *column,
            None => {
                let column = self.columns.add_call(name, data_type, &call.arguments);
                windows.calls.push((column, definition, call));
                column
            }
        };
        let value = Expr::column(column, data_type);
        Ok(Bound::Typed(match of_pairs {
            true => of_pair(value, Derivation::Default),
            false => value,
        }))
    }

    fn window_of(
        &mut self,
        over: &'a ast::WindowType,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Definition> {
        match over {
            ast::WindowType::WindowSpec(spec) => self.definition(spec, at, cx),
            ast::WindowType::NamedWindow(ident) => {
                Ok(named(cx, &name::fold(ident)?, place(ident.span))?.clone())
            }
        }
    }

    /// `([window] [PARTITION BY ..] [ORDER BY ..] [frame])`
    fn definition(
        &mut self,
        spec: &'a ast::WindowSpec,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Definition> {
        let (mut base, mut exclude) = (None, Exclude::NoOthers);
        if let Some(ident) = &spec.window_name {
            let name = match exclusion(ident) {
                None => Some(name::fold(ident)?),
                Some((found, name)) => {
                    exclude = found;
                    let name = name.map(|name| name::fold(&ast::Ident::with_quote('"', name)));
                    name.transpose()?
                }
            };
            let at = place(ident.span);
            base = match name {
                None => None,
                Some(name) => Some((named(cx, &name, at)?.clone(), name, at)),
            };
        }
        let outside = cx.in_window.replace(InWindow::Definition);
        let own = self.definition_here(spec, cx);
        cx.in_window = outside;
        let mut definition = own?;
        if let Some((base, name, at)) = base {
            definition.extend(base, &name, at)?;
        }
        if let Some(frame) = &spec.window_frame {
            definition.frame = Some(self.frame(frame, exclude, &definition, at)?);
        }
        Ok(definition)
    }

    fn definition_here(
        &mut self,
        spec: &'a ast::WindowSpec,
        cx: &mut Context<'_>,
    ) -> Result<Definition> {
        let partition = spec.partition_by.iter();
        let partition = partition.map(|expr| {
            let key = self.typed(expr, cx)?;
            check_equality(key.data_type, start(expr))?;
            self.sorted_key(key, start(expr))
        });
        let partition = partition.collect::<Result<_>>()?;
        let keys = spec.order_by.iter().map(|key| {
            let expr = self.typed(&key.expr, cx)?;
            self.sort_key(key, expr)
        });
        Ok(Definition {
            partition,
            order: keys.collect::<Result<_>>()?,
            frame: None,
        })
    }

    /// A call of a function that only windows have.
    fn own_call(
        &mut self,
        function: WindowFunction,
        syntax: &'a ast::Function,
        list: Option<&'a FunctionArgumentList>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<WindowCall> {
        let unsupported = |what: &str| Err(Error::new(state::FEATURE_NOT_SUPPORTED, what).at(at));
        if let Some(list) = list {
            check_list(list, at)?;
        }
        if syntax.filter.is_some() {
            return unsupported("FILTER is not implemented for non-aggregate window functions");
        }
        let mut bounds = Vec::new();
        for argument in list.map_or(&[][..], |list| &list.args) {
            bounds.push(self.argument(argument, at, cx)?);
        }
        if function.is_hypothetical() && !bounds.is_empty() {
            return Err(within_group_required(function.name()).at(at));
        }
        let types: Vec<_> = bounds.iter().map(Bound::data_type).collect();
        let any = bounds.iter().enumerate();
        let any: Vec<_> = any
            .filter(|(position, _)| function.is_of_any_type(*position))
            .map(|(_, bound)| bound)
            .collect();
        let common: Vec<_> = any.iter().map(|bound| bound.data_type()).collect();
        let common = common_type(&common, function.name()).map_err(|error| error.at(at))?;
        let (wanted, data_type) =
            (function.signature(&types, common)).map_err(|error| error.at(at))?;
        if let [only] = any[..] {
            require_type(only, at)?;
        }
        let arguments = bounds.into_iter().zip(wanted);
        let arguments = arguments.map(|(bound, to)| self.coerce(bound, to));
        Ok(WindowCall {
            function: Callee::Window(function),
            arguments: arguments.collect::<Result<_>>()?,
            filter: None,
            frame: Frame::running(),
            data_type,
        })
    }

    fn aggregate_over(
        &mut self,
        name: &str,
        syntax: &'a ast::Function,
        list: &'a FunctionArgumentList,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<WindowCall> {
        check_list(list, at)?;
        let call = self.aggregate_call(name, syntax, list, at, cx)?;
        Ok(WindowCall {
            function: Callee::Aggregate(call.aggregate),
            arguments: call.arguments,
            filter: call.filter,
            frame: Frame::running(),
            data_type: call.data_type,
        })
    }

    /// The complaint about OVER behind a function that is no aggregate, or none at all.
    fn not_of_windows(
        &mut self,
        name: &str,
        list: Option<&'a FunctionArgumentList>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<WindowCall> {
        let mut arguments = Vec::new();
        for argument in list.map_or(&[][..], |list| &list.args) {
            arguments.push(self.argument(argument, at, cx)?);
        }
        let names = vec![None; arguments.len()];
        let found = self.routine_of(name, &names, &arguments, at)?.is_some();
        if !found && !is_table_function(name) {
            self.call(name, arguments, at)?;
        }
        let message = format!(
            "OVER specified, but {name} is not a window function nor an aggregate function"
        );
        Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at))
    }
}

impl Windows {
    fn find(&self, name: &str) -> Option<&Definition> {
        let mut named = self.named.iter();
        named
            .find(|(found, _)| found == name)
            .map(|(_, found)| found)
    }

    /// The columns that stand for calls.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.calls.iter().map(|(column, ..)| *column)
    }

    /// Replaces every expression over the query's rows by what `f` makes of it.
    pub(super) fn rewrite(&mut self, f: &mut dyn FnMut(Expr) -> Result<Expr>) -> Result<()> {
        let mut apply = |expr: &mut Expr| -> Result<()> {
            *expr = f(expr.clone())?;
            Ok(())
        };
        for (_, definition, call) in &mut self.calls {
            definition.keys_mut().try_for_each(&mut apply)?;
            call.exprs_mut().try_for_each(&mut apply)?;
        }
        for (_, definition) in &mut self.named {
            definition.keys_mut().try_for_each(&mut apply)?;
        }
        Ok(())
    }

    /// The plan's rows with the calls' columns. `sorted` is what the query is ordered by.
    pub(super) fn plan(
        mut self,
        mut plan: Logical,
        sorted: Vec<Expr>,
        columns: &mut Columns,
    ) -> Logical {
        if self.calls.is_empty() {
            return plan;
        }
        let seen = self.seen(sorted);
        let computed = self.compute_keys(columns);
        if !computed.is_empty() {
            let passed = plan.columns().into_iter();
            let passed = passed.map(|column| (column, columns.expr(column)));
            plan = plan.project(passed.chain(computed.iter().cloned()).collect());
        }
        let number = |key: &SortKey| {
            let made = computed
                .iter()
                .find(|(column, _)| is_column(&key.expr, *column));
            let expr = made.map_or(&key.expr, |(_, expr)| expr);
            let number = seen.iter().position(|found| found.same(expr));
            (number, key.descending, key.nulls_first)
        };
        let mut windows: Vec<Window<Vec<(usize, WindowCall)>>> = Vec::new();
        for (column, definition, call) in self.calls {
            let found = windows.iter_mut().find(|window| {
                same_exprs(&window.partition, &definition.partition)
                    && same_keys(&window.order, &definition.order)
            });
            match found {
                Some(window) => window.calls.push((column, call)),
                None => windows.push(Window {
                    partition: definition.partition,
                    order: definition.order,
                    calls: vec![(column, call)],
                }),
            }
        }
        let numbers =
            |window: &Window<_>| -> Vec<_> { window.sort_keys().iter().map(number).collect() };
        windows.sort_by(|one, two| later_first(&numbers(one), &numbers(two)));
        windows
            .into_iter()
            .fold(plan, |plan, window| Logical::Window {
                input: Box::new(plan),
                window: Box::new(window),
            })
    }

    /// What is ordered by anywhere, as it comes up.
    fn seen(&self, sorted: Vec<Expr>) -> Vec<Expr> {
        let mut seen: Vec<Expr> = sorted;
        let named = self.named.iter().map(|(_, definition)| definition);
        for definition in named.chain(self.calls.iter().map(|(_, definition, _)| definition)) {
            let order = definition.order.iter().map(|key| &key.expr);
            for expr in order.chain(&definition.partition) {
                if !seen.iter().any(|found| found.same(expr)) {
                    seen.push(expr.clone());
                }
            }
        }
        seen
    }

    /// Gives a column to each key that is none; they are computed once, whoever needs them.
    fn compute_keys(&mut self, columns: &mut Columns) -> Vec<(usize, Expr)> {
        let mut computed: Vec<(usize, Expr)> = Vec::new();
        for (_, definition, _) in &mut self.calls {
            for key in definition.keys_mut() {
                if matches!(key.kind, ExprKind::Column(_)) {
                    continue;
                }
                let found = computed.iter().find(|(_, expr)| expr.same(key));
                let column = match found {
                    Some((column, _)) => *column,
                    None => columns.add("?column?", key.data_type),
                };
                let of_column = Expr::column(column, key.data_type);
                let whole = std::mem::replace(key, of_column);
                if !computed.iter().any(|(found, _)| *found == column) {
                    computed.push((column, whole));
                }
            }
        }
        computed
    }
}

impl Definition {
    fn keys_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let order = self.order.iter_mut().map(|key| &mut key.expr);
        self.partition.iter_mut().chain(order)
    }

    /// Takes over what the window of that name says.
    ///
    /// # Errors
    /// 42P20 where both say it.
    fn extend(&mut self, base: Self, name: &str, at: Option<Position>) -> Result<()> {
        let refused = |message: String| Err(windowing(message).at(at));
        if !self.partition.is_empty() {
            return refused(format!(
                "cannot override PARTITION BY clause of window \"{name}\""
            ));
        }
        if !self.order.is_empty() && !base.order.is_empty() {
            return refused(format!(
                "cannot override ORDER BY clause of window \"{name}\""
            ));
        }
        if base.frame.is_some() {
            return refused(format!(
                "cannot copy window \"{name}\" because it has a frame clause"
            ));
        }
        self.partition = base.partition;
        if self.order.is_empty() {
            self.order = base.order;
        }
        Ok(())
    }

    fn same(&self, other: &Self) -> bool {
        same_exprs(&self.partition, &other.partition) && same_keys(&self.order, &other.order)
    }
}

/// The window of a name.
fn named<'c>(cx: &'c Context<'_>, name: &str, at: Option<Position>) -> Result<&'c Definition> {
    let found = cx.windows.as_ref().and_then(|windows| windows.find(name));
    found.ok_or_else(|| sql_error!(UNDEFINED_OBJECT, "window \"{name}\" does not exist").at(at))
}

pub(super) fn windowing(message: impl Into<String>) -> Error {
    Error::new(state::WINDOWING_ERROR, message)
}

fn check_place(cx: &Context<'_>, at: Option<Position>) -> Result<()> {
    let allowed = cx.windows.is_some() && matches!(cx.clause, Clause::Select | Clause::OrderBy);
    let complaint = match cx.in_window {
        _ if cx.in_aggregate => {
            let message = "aggregate function calls cannot contain window function calls";
            return Err(Error::new(state::GROUPING_ERROR, message).at(at));
        }
        Some(InWindow::Arguments) => "window function calls cannot be nested".to_owned(),
        Some(InWindow::Definition) => {
            "window functions are not allowed in window definitions".to_owned()
        }
        None if allowed => return Ok(()),
        None => format!("window functions are not allowed in {}", cx.clause.name()),
    };
    Err(windowing(complaint).at(at))
}

/// Fails where arguments are distinct or ordered.
fn check_list(list: &FunctionArgumentList, at: Option<Position>) -> Result<()> {
    let complaint = if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        "DISTINCT is not implemented for window functions"
    } else if !list.clauses.is_empty() {
        "aggregate ORDER BY is not implemented for window functions"
    } else {
        return Ok(());
    };
    Err(Error::new(state::FEATURE_NOT_SUPPORTED, complaint).at(at))
}

fn is_column(expr: &Expr, column: usize) -> bool {
    matches!(expr.kind, ExprKind::Column(found) if found == column)
}

fn same_exprs(one: &[Expr], two: &[Expr]) -> bool {
    one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two))
}

pub(super) fn same_keys(one: &[SortKey], two: &[SortKey]) -> bool {
    one.len() == two.len()
        && one.iter().zip(two).all(|(one, two)| {
            one.expr.same(&two.expr)
                && one.descending == two.descending
                && one.nulls_first == two.nulls_first
        })
}

/// Whether two calls over one window always give the same.
fn same_call(one: &WindowCall, two: &WindowCall) -> bool {
    let function = match (&one.function, &two.function) {
        (Callee::Aggregate(one), Callee::Aggregate(two)) => one.same(two),
        (Callee::Window(one), Callee::Window(two)) => one == two,
        _ => false,
    };
    function
        && one.frame.same(&two.frame)
        && same_exprs(&one.arguments, &two.arguments)
        && same_exprs(one.filter.as_slice(), two.filter.as_slice())
        && one.exprs().all(Expr::is_stable)
}

/// The order in which windows are computed: of two orders the one whose first different key came up later
/// in the query, and of two that begin alike the longer, which the shorter can then use.
fn later_first<T: Ord>(one: &[T], two: &[T]) -> Ordering {
    let differ = one.iter().zip(two).map(|(one, two)| two.cmp(one));
    let first = differ.into_iter().find(|order| order.is_ne());
    first.unwrap_or_else(|| two.len().cmp(&one.len()))
}
