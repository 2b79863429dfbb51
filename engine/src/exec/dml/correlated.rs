//! Correlated subplans of a change: subqueries of ON CONFLICT DO UPDATE and of check options of views. They are run for
//! each row, with its values as parameters, and their results are parameters of the expressions that contained them.

use super::super::ExecContext;
use super::super::compile::compile;
use super::super::eval::Row;
use crate::error::Result;
use crate::plan::statement::Asked;
use remora_storage::value::value_at;
use remora_storage::{ReadView, Value};

/// Returns the context with the results of a subplan for a row.
pub(super) fn evaluate<R: Row + ?Sized>(
    asked: &Asked,
    row: &R,
    view: &ReadView,
    context: &ExecContext,
) -> Result<ExecContext> {
    let mut parameters = context.parameters.to_vec();
    let last = asked.gives.iter().max().map_or(0, |last| last + 1);
    let given = asked.given.iter().map(|(parameter, _)| parameter + 1).max();
    let places = last.max(given.unwrap_or(0)).max(parameters.len());
    parameters.resize(places, Value::Null);
    for (parameter, position) in &asked.given {
        parameters[*parameter] = row.value(*position).to_owned();
    }
    let mut context = ExecContext {
        parameters: parameters.as_slice().into(),
        ..context.clone()
    };
    let mut rows = compile(&asked.plan, view, &context)?;
    if let Some(batch) = rows.next(&context)? {
        let columns = batch.columns.iter().zip(&asked.plan.schema);
        for (parameter, (array, field)) in asked.gives.iter().zip(columns) {
            parameters[*parameter] = value_at(array, field.data_type, 0).to_owned();
        }
    }
    context.parameters = parameters.into();
    Ok(context)
}
