//! Walking over logical plans: inputs and expressions of a node, looked at and replaced.

use super::Expr;
use super::logical::{Join, Logical};
use super::physical::AggregateCall;
use super::project_set::ProjectSet;

impl Logical {
    /// Its inputs, from left to right.
    pub(crate) fn inputs(&self) -> Vec<&Logical> {
        match self {
            Self::Values { .. }
            | Self::Scan(_)
            | Self::System { .. }
            | Self::Virtual(_)
            | Self::WorkingTable(_)
            | Self::Part(_) => Vec::new(),
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::ProjectSet(ProjectSet { input, .. })
            | Self::Aggregate { input, .. }
            | Self::Window { input, .. }
            | Self::Sort { input, .. }
            | Self::TopN { input, .. }
            | Self::Limit { input, .. }
            | Self::WithTies { input, .. }
            | Self::Lock { input, .. }
            | Self::DistinctOn { input, .. }
            | Self::Distinct(input) => vec![input],
            Self::Join(join) => vec![&join.left, &join.right],
            Self::Adaptive { first, otherwise } => vec![first, otherwise],
            Self::UnionAll { inputs, .. } => inputs.iter().map(|(input, _)| input).collect(),
            Self::SetOperation(operation) => vec![&operation.left.0, &operation.right.0],
            Self::Recursive(recursive) => vec![&recursive.base.0, &recursive.step.0],
        }
    }

    /// The same node with each input replaced by what `f` makes of it.
    pub(crate) fn map_inputs(self, f: &mut dyn FnMut(Logical) -> Logical) -> Logical {
        // The box stays: every rule of the optimizer walks every plan.
        let mut apply = |mut input: Box<Logical>| {
            let nothing = Self::Values {
                columns: Vec::new(),
                rows: Vec::new(),
            };
            *input = f(std::mem::replace(&mut *input, nothing));
            input
        };
        match self {
            leaf @ (Self::Values { .. }
            | Self::Scan(_)
            | Self::System { .. }
            | Self::Virtual(_)
            | Self::WorkingTable(_)
            | Self::Part(_)) => leaf,
            Self::Recursive(recursive) => Self::Recursive(recursive.map_inputs(f)),
            Self::Filter { input, predicate } => Self::Filter {
                input: apply(input),
                predicate,
            },
            Self::Project { input, exprs } => Self::Project {
                input: apply(input),
                exprs,
            },
            Self::ProjectSet(set) => Self::ProjectSet(ProjectSet {
                input: apply(set.input),
                ..set
            }),
            Self::Join(join) => Self::Join(Join {
                left: apply(join.left),
                right: apply(join.right),
                ..join
            }),
            Self::Aggregate {
                input,
                groups,
                aggregates,
                sets,
                in_order,
            } => Self::Aggregate {
                input: apply(input),
                groups,
                aggregates,
                sets,
                in_order,
            },
            Self::Window { input, window } => Self::Window {
                input: apply(input),
                window,
            },
            Self::Sort { input, keys } => Self::Sort {
                input: apply(input),
                keys,
            },
            Self::TopN {
                input,
                keys,
                limit,
                offset,
            } => Self::TopN {
                input: apply(input),
                keys,
                limit,
                offset,
            },
            Self::Limit {
                input,
                limit,
                offset,
            } => Self::Limit {
                input: apply(input),
                limit,
                offset,
            },
            Self::WithTies {
                input,
                keys,
                limit,
                offset,
            } => Self::WithTies {
                input: apply(input),
                keys,
                limit,
                offset,
            },
            Self::Lock { input, locks } => Self::Lock {
                input: apply(input),
                locks,
            },
            Self::Distinct(input) => Self::Distinct(apply(input)),
            Self::Adaptive { first, otherwise } => Self::Adaptive {
                first: apply(first),
                otherwise: apply(otherwise),
            },
            Self::DistinctOn { input, columns } => Self::DistinctOn {
                input: apply(input),
                columns,
            },
            Self::UnionAll { inputs, columns } => Self::UnionAll {
                inputs: inputs
                    .into_iter()
                    .map(|(input, source)| (f(input), source))
                    .collect(),
                columns,
            },
            Self::SetOperation(operation) => Self::SetOperation(operation.map_inputs(f)),
        }
    }

    /// The expressions of this node (not of its inputs).
    pub(crate) fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Values { rows, .. } => rows.iter().flatten().collect(),
            Self::Scan(scan) => scan.filter.iter().collect(),
            Self::Virtual(scan) => {
                let told = scan.constraints.iter().map(|told| &told.value);
                scan.filter.iter().chain(told).collect()
            }
            Self::Filter { predicate, .. } => vec![predicate],
            Self::Project { exprs, .. } => exprs.iter().map(|(_, expr)| expr).collect(),
            Self::ProjectSet(set) => {
                let calls = set.calls.iter().map(|(_, call)| call);
                calls.flat_map(|call| &call.arguments).collect()
            }
            Self::Join(join) => {
                let tests = join.mark.iter().flat_map(|mark| &mark.test);
                let outer = join.outer.iter().map(|(_, expr)| expr);
                join.on.iter().chain(tests).chain(outer).collect()
            }
            Self::Aggregate {
                groups, aggregates, ..
            } => {
                let calls = aggregates.iter().map(|(_, call)| call);
                let parts = calls.flat_map(AggregateCall::exprs);
                groups.iter().map(|(_, group)| group).chain(parts).collect()
            }
            Self::Window { window, .. } => {
                let calls = window.calls.iter().map(|(_, call)| call);
                let order = window.order.iter().map(|key| &key.expr);
                let calls = calls.flat_map(|call| call.exprs());
                calls.chain(&window.partition).chain(order).collect()
            }
            Self::Sort { keys, .. } => keys.iter().map(|key| &key.expr).collect(),
            Self::TopN {
                keys,
                limit,
                offset,
                ..
            } => {
                let keys = keys.iter().map(|key| &key.expr);
                keys.chain(std::iter::once(limit)).chain(offset).collect()
            }
            Self::WithTies {
                keys,
                limit,
                offset,
                ..
            } => {
                let all = keys.iter().chain(std::iter::once(limit));
                all.chain(offset).collect()
            }
            Self::Limit { limit, offset, .. } => limit.iter().chain(offset).collect(),
            Self::Lock { .. }
            | Self::Distinct(_)
            | Self::DistinctOn { .. }
            | Self::UnionAll { .. }
            | Self::Adaptive { .. }
            | Self::SetOperation(_)
            | Self::Recursive(_)
            | Self::WorkingTable(_)
            | Self::Part(_)
            | Self::System { .. } => Vec::new(),
        }
    }

    /// The expressions of this node that are evaluated once, for all rows: each with those that it is a part of.
    pub(crate) fn evaluated_once(&mut self) -> Vec<Vec<&mut Expr>> {
        match self {
            Self::TopN { limit, offset, .. } | Self::WithTies { limit, offset, .. } => {
                let all = std::iter::once(limit).chain(offset);
                all.map(|expr| vec![expr]).collect()
            }
            Self::Limit { limit, offset, .. } => {
                let all = limit.iter_mut().chain(offset);
                all.map(|expr| vec![expr]).collect()
            }
            Self::Window { window, .. } => {
                let calls = window.calls.iter_mut();
                calls.flat_map(|(_, call)| call.frame.offsets()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Calls `f` for each expression of the plan.
    pub(crate) fn for_each_expr(&self, f: &mut dyn FnMut(&Expr)) {
        self.exprs().into_iter().for_each(&mut *f);
        for input in self.inputs() {
            input.for_each_expr(f);
        }
    }

    /// Whether no expression of the plan may give another value each time.
    pub(crate) fn is_stable(&self) -> bool {
        let mut is_stable = true;
        self.for_each_expr(&mut |expr| is_stable &= expr.is_stable());
        is_stable
    }

    /// Replaces every expression of this node (not of its inputs) by what `f` makes of it.
    pub(crate) fn map_exprs(mut self, f: &mut dyn FnMut(Expr) -> Expr) -> Logical {
        let mut apply = |expr: &mut Expr| {
            let hole = Expr::literal(remora_storage::Value::Null, expr.data_type);
            *expr = f(std::mem::replace(expr, hole));
        };
        match &mut self {
            Self::Values { rows, .. } => rows.iter_mut().flatten().for_each(apply),
            Self::Scan(scan) => scan.filter.iter_mut().for_each(apply),
            Self::Virtual(scan) => {
                let told = scan.constraints.iter_mut().map(|told| &mut told.value);
                scan.filter.iter_mut().chain(told).for_each(apply);
            }
            Self::Filter { predicate, .. } => apply(predicate),
            Self::Project { exprs, .. } => exprs.iter_mut().for_each(|(_, expr)| apply(expr)),
            Self::ProjectSet(set) => {
                let calls = set.calls.iter_mut();
                calls
                    .flat_map(|(_, call)| &mut call.arguments)
                    .for_each(apply);
            }
            Self::Join(join) => {
                let tests = join.mark.iter_mut().flat_map(|mark| &mut mark.test);
                let outer = join.outer.iter_mut().map(|(_, expr)| expr);
                join.on.iter_mut().chain(tests).chain(outer).for_each(apply);
            }
            Self::Aggregate {
                groups, aggregates, ..
            } => {
                groups.iter_mut().for_each(|(_, expr)| apply(expr));
                for (_, call) in aggregates {
                    call.exprs_mut().for_each(&mut apply);
                }
            }
            Self::Window { window, .. } => {
                let calls = window.calls.iter_mut();
                calls.for_each(|(_, call)| call.exprs_mut().for_each(&mut apply));
                window.partition.iter_mut().for_each(&mut apply);
                let order = window.order.iter_mut();
                order.for_each(|key| apply(&mut key.expr));
            }
            Self::Sort { keys, .. } => keys.iter_mut().for_each(|key| apply(&mut key.expr)),
            Self::TopN {
                keys,
                limit,
                offset,
                ..
            } => {
                keys.iter_mut().for_each(|key| apply(&mut key.expr));
                apply(limit);
                offset.iter_mut().for_each(apply);
            }
            Self::Limit { limit, offset, .. } => {
                limit.iter_mut().chain(offset).for_each(apply);
            }
            Self::WithTies {
                keys,
                limit,
                offset,
                ..
            } => {
                keys.iter_mut().for_each(&mut apply);
                apply(limit);
                offset.iter_mut().for_each(apply);
            }
            Self::Lock { .. }
            | Self::Distinct(_)
            | Self::DistinctOn { .. }
            | Self::UnionAll { .. }
            | Self::Adaptive { .. }
            | Self::SetOperation(_)
            | Self::Recursive(_)
            | Self::WorkingTable(_)
            | Self::Part(_)
            | Self::System { .. } => {}
        }
        self
    }
}
