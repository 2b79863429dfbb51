//! Top-n: sorting in order to keep a few rows keeps only those few while it runs.
//!
//! Only where the limit is a constant: a parameter could be NULL, which means no limit.

use crate::plan::ExprKind;
use crate::plan::logical::Logical;
use remora_storage::Value;

/// Applies the rule to a plan.
pub(super) fn sort_and_limit(plan: Logical) -> Logical {
    let plan = plan.map_inputs(&mut sort_and_limit);
    let Logical::Limit {
        input,
        limit: Some(limit),
        offset,
    } = plan
    else {
        return plan;
    };
    let known = matches!(limit.kind, ExprKind::Literal(Value::BigInt(_)));
    match *input {
        Logical::Sort { input, keys } if known => Logical::TopN {
            input,
            keys,
            limit,
            offset,
        },
        other => Logical::Limit {
            input: Box::new(other),
            limit: Some(limit),
            offset,
        },
    }
}
