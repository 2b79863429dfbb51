//! Functions in SQL that give rows, where that needs more than their rows: in a select list, and WITH ORDINALITY.
//!
//! In a select list the rows of a call become an array, whose elements come out of it again: so the call stands
//! beside those of the system's functions, in turn with them or within their arguments.
//!
//! ```text
//!   SELECT few(t.a), generate_series(1, 2)      -->  unnest(ARRAY(SELECT .. few's body ..)), generate_series(1, 2)
//! ```

use super::routine_call::is_fixed;
use super::{Binder, Bound, Context};
use crate::error::{Position, Result};
use crate::function::element_of;
use crate::function::window::WindowFunction;
use crate::parse::refuse;
use crate::plan::logical::Logical;
use crate::plan::physical::AggregateCall;
use crate::plan::window::{Callee, Frame, Window, WindowCall};
use crate::plan::{Asks, Expr, ExprKind, Subquery};
use remora_storage::DataType;
use remora_storage::catalog::FunctionDef;
use remora_storage::value::ElementType;
use std::sync::Arc;

impl Binder<'_> {
    /// A call in a select list of a function that gives rows of one column.
    ///
    /// # Errors
    /// 0A000 where it cannot stand.
    pub(super) fn routine_set(
        &mut self,
        def: &Arc<FunctionDef>,
        arguments: Vec<Expr>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        cx.check_set(at)?;
        let body = self.called_body(def, at)?;
        let value = body.values.first().map(|(_, value)| value.clone());
        let value = value.filter(|value| {
            element_of(value.data_type).is_none() && ElementType::new(value.data_type).is_some()
        });
        let Some(value) = value else {
            return refuse(
                "a function in a select list that gives rows of such a type",
                at,
            );
        };
        let (plan, outer) = self.with_arguments(body, &arguments, def.strict, is_fixed);
        let column = self.columns.add_for(&def.name, &value);
        let element = Expr::column(column, value.data_type);
        let plan = plan.project(vec![(column, value)]);
        let rows = self.collected(plan, element, outer)?;
        let call = self.table_call("unnest", vec![Bound::Typed(rows)], at)?;
        Ok(self.push_set(&def.name, call, at, cx))
    }

    /// The array of a column of a plan; NULL where that has no rows.
    fn collected(
        &mut self,
        plan: Logical,
        element: Expr,
        outer: Vec<(usize, Expr)>,
    ) -> Result<Expr> {
        let call = AggregateCall {
            arguments: vec![element.clone()],
            ..super::array::collecting(element.data_type)?
        };
        let data_type = call.data_type;
        let column = self.columns.add_call("", data_type, &call.arguments);
        let plan = Logical::Aggregate {
            input: Box::new(plan),
            groups: Vec::new(),
            aggregates: vec![(column, call)],
            sets: None,
            in_order: false,
        };
        let asks = Asks::Value(column);
        Ok(Expr {
            kind: ExprKind::Subquery(Box::new(Subquery { asks, plan, outer })),
            data_type,
        })
    }

    /// Rows with their numbers behind them: WITH ORDINALITY.
    pub(super) fn numbered(
        &mut self,
        (plan, mut columns): (Logical, Vec<usize>),
    ) -> (Logical, Vec<usize>) {
        let number = self.columns.add("ordinality", DataType::BigInt);
        let call = WindowCall {
            function: Callee::Window(WindowFunction::RowNumber),
            arguments: Vec::new(),
            filter: None,
            frame: Frame::running(),
            data_type: DataType::BigInt,
        };
        columns.push(number);
        let window = Box::new(Window {
            partition: Vec::new(),
            order: Vec::new(),
            calls: vec![(number, call)],
        });
        let input = Box::new(plan);
        (Logical::Window { input, window }, columns)
    }
}
