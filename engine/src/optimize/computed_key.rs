//! Computed keys: an expression that an index is over is asked for as the hidden column that holds it.
//!
//! `lower(name) = 'x'` becomes `column = 'x'`, of which index selection, scan bounds and the point path know
//! what to do. The column always has the value of the expression, which is immutable; so the rule is right
//! wherever the expression stands, and is applied to the filters of scans, where it pays. A part of a filter
//! stays as it is where no index has its expression. What a partial index is computed from is left alone:
//! whether a filter implies it is asked when an index is chosen.

use super::fold::fold;
use crate::plan::Expr;
use crate::plan::logical::{Logical, Scan};

/// Applies the rule to a plan.
pub(super) fn use_keys(plan: Logical) -> Logical {
    match plan {
        Logical::Scan(scan) if !scan.computed.is_empty() => Logical::Scan(with_keys(scan)),
        other => other.map_inputs(&mut use_keys),
    }
}

/// The same with keys named in its filter.
pub(super) fn with_keys(mut scan: Scan) -> Scan {
    // As the filter's parts are by now.
    let computed = std::mem::take(&mut scan.computed).into_iter();
    scan.computed = computed
        .map(|(number, expr)| (number, fold(expr)))
        .collect();
    let is_condition = |number: usize| {
        let id = scan.column_id(number);
        let mut partial = scan.table.indexes.iter().filter(|index| index.def.partial);
        partial.any(|index| index.def.columns.first().map(|key| key.column) == id)
    };
    let keys: Vec<&(usize, Expr)> = scan
        .computed
        .iter()
        .filter(|(number, _)| !is_condition(*number))
        .collect();
    let filter = std::mem::take(&mut scan.filter).into_iter();
    let filter = filter.map(|part| {
        part.replace(&mut |part| {
            let key = keys.iter().find(|(_, key)| key.same(part))?;
            Some(Expr::column(key.0, part.data_type))
        })
    });
    scan.filter = filter.collect();
    scan
}
