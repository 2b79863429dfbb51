//! Walking over logical plans: inputs and expressions of a node, looked at and replaced.

use super::logical::{Columns, Join, Logical};
use super::physical::AggregateCall;
use super::project_set::ProjectSet;
use super::recursive::Recursive;
use super::set_operation::SetOperation;
use super::{Expr, ExprKind};
use remora_storage::DataType;

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
    pub(crate) fn map_inputs(mut self, f: &mut dyn FnMut(Logical) -> Logical) -> Logical {
        // Boxes stay: every rule of the optimizer walks every plan.
        self.each_input(&mut |input| *input = f(input.take()));
        self
    }

    /// Calls `f` for each input, from left to right.
    fn each_input(&mut self, f: &mut dyn FnMut(&mut Logical)) {
        match self {
            Self::Values { .. }
            | Self::Scan(_)
            | Self::System { .. }
            | Self::Virtual(_)
            | Self::WorkingTable(_)
            | Self::Part(_) => {}
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
            | Self::Distinct(input) => f(input),
            Self::Join(Join { left, right, .. })
            | Self::Adaptive {
                first: left,
                otherwise: right,
            }
            | Self::SetOperation(SetOperation {
                left: (left, _),
                right: (right, _),
                ..
            })
            | Self::Recursive(Recursive {
                base: (left, _),
                step: (right, _),
                ..
            }) => {
                f(left);
                f(right);
            }
            Self::UnionAll { inputs, .. } => inputs.iter_mut().for_each(|(input, _)| f(input)),
        }
    }

    /// Takes the plan out of its place, and leaves a plan without rows there.
    pub(crate) fn take(&mut self) -> Logical {
        let nothing = Self::Values {
            columns: Vec::new(),
            rows: Vec::new(),
        };
        std::mem::replace(self, nothing)
    }

    /// One row of a column that has no name.
    pub(crate) fn one_row(columns: &mut Columns) -> Logical {
        Self::Values {
            columns: vec![columns.add("", DataType::Boolean)],
            rows: vec![vec![Expr::boolean(true)]],
        }
    }

    /// Projects the rows of the plan.
    pub(crate) fn project(self, exprs: Vec<(usize, Expr)>) -> Logical {
        let input = Box::new(self);
        Self::Project { input, exprs }
    }

    /// Filters the rows of the plan: all parts must be true.
    pub(crate) fn filter(self, parts: Vec<Expr>) -> Logical {
        match Expr::conjunction(parts) {
            None => self,
            Some(predicate) => Self::Filter {
                input: Box::new(self),
                predicate,
            },
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

    /// Whether it locks rows; parts of the statement that it reads do that on their own.
    pub(crate) fn locks_rows(&self) -> bool {
        let mut locks = self.any(&mut |node| matches!(node, Self::Lock { .. }));
        self.for_each_expr(&mut |expr| {
            locks |= expr.any(&mut |part| match &part.kind {
                ExprKind::Subquery(subquery) => subquery.plan.locks_rows(),
                _ => false,
            });
        });
        locks
    }

    /// Whether no expression of the plan may give another value each time.
    pub(crate) fn is_stable(&self) -> bool {
        let mut is_stable = true;
        self.for_each_expr(&mut |expr| is_stable &= expr.is_stable());
        is_stable
    }

    /// Replaces every expression of this node (not of its inputs) by what `f` makes of it.
    pub(crate) fn map_exprs(mut self, f: &mut dyn FnMut(Expr) -> Expr) -> Logical {
        let mut apply = |expr: &mut Expr| expr.change(&mut *f);
        match &mut self {
            Self::Values { rows, .. } => rows.iter_mut().flatten().for_each(&mut apply),
            Self::Scan(scan) => scan.filter.iter_mut().for_each(&mut apply),
            Self::Virtual(scan) => {
                let told = scan.constraints.iter_mut().map(|told| &mut told.value);
                scan.filter.iter_mut().chain(told).for_each(&mut apply);
            }
            Self::Filter { predicate, .. } => apply(predicate),
            Self::Project { exprs, .. } => exprs.iter_mut().for_each(|(_, expr)| apply(expr)),
            Self::ProjectSet(set) => {
                let calls = set.calls.iter_mut();
                calls
                    .flat_map(|(_, call)| &mut call.arguments)
                    .for_each(&mut apply);
            }
            Self::Join(join) => {
                let tests = join.mark.iter_mut().flat_map(|mark| &mut mark.test);
                let outer = join.outer.iter_mut().map(|(_, expr)| expr);
                join.on
                    .iter_mut()
                    .chain(tests)
                    .chain(outer)
                    .for_each(&mut apply);
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
            Self::Sort { keys, .. } | Self::TopN { keys, .. } => {
                keys.iter_mut().for_each(|key| apply(&mut key.expr));
            }
            Self::WithTies { keys, .. } => keys.iter_mut().for_each(&mut apply),
            _ => {}
        }
        if let Self::TopN { limit, offset, .. } | Self::WithTies { limit, offset, .. } = &mut self {
            std::iter::once(limit).chain(offset).for_each(&mut apply);
        } else if let Self::Limit { limit, offset, .. } = &mut self {
            limit.iter_mut().chain(offset).for_each(&mut apply);
        }
        self
    }

    /// Replaces every expression of the plan by what `f` makes of it.
    pub(crate) fn map_deep(self, f: &mut dyn FnMut(Expr) -> Expr) -> Logical {
        self.map_inputs(&mut |input| input.map_deep(f)).map_exprs(f)
    }
}
