//! From a plan to pipelines.

use super::aggregate::Aggregation;
use super::aggregate::distinct::Distinct;
use super::aggregate::fold::{Fold, FoldScan};
use super::aggregate::group_aggregate::GroupAggregate;
use super::aggregate::grouping_sets::GroupingSets;
use super::join::JoinProbe;
use super::join::apply::Apply;
use super::join::full_join::FullJoin;
use super::join::index_join::{IndexJoin, Lookups};
use super::join::join_table::{JoinBuild, JoinKeys};
use super::meter::Metered;
use super::pipeline::{Breaker, Pipeline};
use super::scan::filter::Filter;
use super::scan::index_scan::IndexScan;
use super::scan::index_union::IndexUnion;
use super::scan::lock_rows::{LockRows, RowLocker};
use super::scan::system_scan::SystemScan;
use super::scan::table_scan::TableScan;
use super::scan::values::Values;
use super::scan::virtual_scan::VirtualRows;
use super::set::adaptive::{Adaptive, Trial};
use super::set::project::Project;
use super::set::project_set::ProjectSet;
use super::set::recursive::{KeptTables, Recursive, WorkingScan, WorkingTable};
use super::set::set_operation::{RightRows, SetOperation};
use super::set::union_all::UnionAll;
use super::set::with::PartScan;
use super::sort::Sort;
use super::sort::limit::{Limit, Stretch};
use super::sort::top_n::TopN;
use super::sort::with_ties::WithTies;
use super::window::Windowed;
use super::{BATCH_ROWS, ExecContext};
use crate::error::{Error, Result};
use crate::plan::Expr;
use crate::plan::lock::{LockWait, RowLock};
use crate::plan::physical::{self, AggregateCall, Join, JoinKind, LookupBy, Node, PhysicalPlan};
use crate::stack::with_room_left;
use remora_storage::ReadView;
use std::sync::Arc;

/// The last pipeline of a plan, which holds those that feed it. The plan locks no rows.
pub(super) fn compile(
    plan: &PhysicalPlan,
    view: &ReadView,
    context: &ExecContext,
) -> Result<Pipeline<'static>> {
    Compiler::new(view, context).node(plan, BATCH_ROWS)
}

/// The same for a plan that may lock rows.
pub(super) fn compile_locking<'t>(
    plan: &PhysicalPlan,
    view: &ReadView,
    context: &ExecContext,
    locker: &'t dyn RowLocker,
) -> Result<Pipeline<'t>> {
    let compiler = Compiler {
        locker: Some(locker),
        ..Compiler::new(view, context)
    };
    compiler.node(plan, BATCH_ROWS)
}

/// The same for a round of a recursion, or what is run for each row within one: it reads working tables, and may
/// find `kept` tables of joins that the round before has made.
pub(super) fn compile_within(
    plan: &PhysicalPlan,
    view: &ReadView,
    context: &ExecContext,
    working: &[(usize, Arc<WorkingTable>)],
    kept: Option<&KeptTables>,
) -> Result<Pipeline<'static>> {
    let compiler = Compiler {
        working,
        kept,
        ..Compiler::new(view, context)
    };
    compiler.node(plan, BATCH_ROWS)
}

/// Compiles a plan that is run for each row: its pipeline can be restarted, if all its parts can be.
pub(super) fn compile_repeated(
    plan: &PhysicalPlan,
    view: &ReadView,
    context: &ExecContext,
    working: &[(usize, Arc<WorkingTable>)],
) -> Result<Pipeline<'static>> {
    let compiler = Compiler {
        working,
        is_repeated: true,
        ..Compiler::new(view, context)
    };
    compiler.node(plan, BATCH_ROWS)
}

struct Compiler<'a, 't> {
    view: &'a ReadView,
    context: &'a ExecContext,
    /// Who locks rows, where that can be asked for.
    locker: Option<&'t dyn RowLocker>,
    /// What rounds of recursions read.
    working: &'a [(usize, Arc<WorkingTable>)],
    /// Of a round: tables of joins that are the same in all.
    kept: Option<&'a KeptTables>,
    /// Whether pipelines may run several times.
    is_repeated: bool,
    /// The trial that index scans belong to, if they do.
    trial: Option<Trial>,
}

impl<'a, 't> Compiler<'a, 't> {
    fn new(view: &'a ReadView, context: &'a ExecContext) -> Self {
        Self {
            view,
            context,
            locker: None,
            working: &[],
            kept: None,
            is_repeated: false,
            trial: None,
        }
    }

    /// `rows` is how many rows a source should cut at most, at first: less than usual only where a LIMIT above will
    /// take no more and nothing between drops any, unless it is the filter of an index scan.
    fn node(&self, plan: &PhysicalPlan, rows: usize) -> Result<Pipeline<'t>> {
        let pipeline = with_room_left(|| self.unmetered(plan, rows))?;
        Ok(self.metered(plan, pipeline))
    }

    /// The same, counting what it does if that is asked for.
    fn metered(&self, plan: &PhysicalPlan, pipeline: Pipeline<'t>) -> Pipeline<'t> {
        match &self.context.profiling {
            None => pipeline,
            Some(profiling) => Pipeline::new(Metered::new(pipeline, profiling.of(plan))),
        }
    }

    fn unmetered(&self, plan: &PhysicalPlan, rows: usize) -> Result<Pipeline<'t>> {
        Ok(match &plan.node {
            Node::Values(values) => Pipeline::new(Values::new(values.clone(), plan.schema.clone())),
            Node::TableScan(scan) => {
                let filtered = scan.filter.is_some() || !scan.bounds.is_empty();
                let rows = if filtered { BATCH_ROWS } else { rows };
                Pipeline::new(TableScan::new(scan, self.view_of(scan), rows))
            }
            Node::IndexScan(scan) => {
                let source = IndexScan::new(scan, self.view_of(&scan.scan), rows);
                Pipeline::new(match &self.trial {
                    Some(trial) => source.tried(trial),
                    None => source,
                })
            }
            Node::IndexUnion(union) => {
                let parts = union.parts.iter().map(|part| self.node(part, BATCH_ROWS));
                let parts = parts.collect::<Result<_>>()?;
                Pipeline::new(IndexUnion::new(
                    union,
                    parts,
                    self.view_of(&union.scan),
                    rows,
                ))
            }
            Node::System { table, columns } => {
                Pipeline::new(SystemScan::new(*table, columns, self.view))
            }
            Node::Virtual(scan) => {
                let pipeline = Pipeline::new(VirtualRows::new(scan, rows));
                match Expr::conjunction(scan.filter.clone()) {
                    Some(filter) => pipeline.with(Filter::new(filter)),
                    None => pipeline,
                }
            }
            Node::Filter { input, predicate } => self
                .node(input, BATCH_ROWS)?
                .with(Filter::new(predicate.clone())),
            Node::Project { input, exprs } => {
                self.node(input, rows)?.with(Project::new(exprs.clone()))
            }
            Node::ProjectSet {
                input,
                calls,
                ordinality,
            } => self
                .node(input, rows)?
                .with(ProjectSet::new(calls, *ordinality)),
            Node::Join(join) => self.join(join, rows)?,
            Node::Apply(join) => {
                let (view, working) = (self.view.clone(), self.working.to_vec());
                let apply = Apply::new(&join.right, join.kind, view, working);
                let apply = apply.with_test(join.is_tested);
                let rows = rows_of_left(join.kind, rows);
                self.node(&join.left, rows)?.with(apply)
            }
            Node::Aggregate {
                input,
                groups,
                aggregates,
                in_order: true,
                ..
            } => {
                let input = self.node(input, rows)?;
                Pipeline::new(GroupAggregate::new(input, groups, aggregates))
            }
            Node::Aggregate {
                input,
                groups,
                aggregates,
                sets: None,
                ..
            } => self.aggregate(input, groups, aggregates)?,
            Node::Window { input, window } => {
                Pipeline::new(Windowed::new(self.node(input, BATCH_ROWS)?, window))
            }
            Node::Aggregate {
                input,
                groups,
                aggregates,
                sets: Some(sets),
                ..
            } => Pipeline::new(Breaker::new(
                self.node(input, BATCH_ROWS)?,
                GroupingSets::new(groups, aggregates, sets),
            )),
            Node::Sort { input, keys } => {
                let input = self.node(input, BATCH_ROWS)?;
                Pipeline::new(match self.is_repeated {
                    false => Breaker::new(input, Sort::new(keys)),
                    true => {
                        let keys = keys.clone();
                        Breaker::repeated(input, move |_| Ok(Sort::new(&keys)))
                    }
                })
            }
            Node::TopN {
                input,
                keys,
                limit,
                offset,
            } => {
                let stretch = Stretch::new(Some(limit), offset.as_ref(), self.context)?;
                if stretch.limit == Some(0) {
                    return Ok(nothing());
                }
                Pipeline::new(Breaker::new(
                    self.node(input, BATCH_ROWS)?,
                    TopN::new(keys, stretch.end()),
                ))
                .with(Limit::new(stretch))
            }
            Node::Limit {
                input,
                limit,
                offset,
            } => self.limit(input, limit.as_ref(), offset.as_ref())?,
            Node::WithTies {
                input,
                keys,
                limit,
                offset,
            } => {
                let stretch = Stretch::new(Some(limit), offset.as_ref(), self.context)?;
                if stretch.limit == Some(0) {
                    return Ok(nothing());
                }
                self.node(input, BATCH_ROWS)?
                    .with(WithTies::new(keys.clone(), stretch))
            }
            Node::LockRows { input, locks } => self.lock_rows(input, locks, rows, None)?,
            Node::Distinct(input) => {
                let all = (0..input.schema.len()).collect();
                self.node(input, BATCH_ROWS)?
                    .with(Distinct::new(&input.schema, all))
            }
            Node::DistinctOn { input, columns } => self
                .node(input, BATCH_ROWS)?
                .with(Distinct::new(&input.schema, columns.clone())),
            Node::UnionAll(inputs) => Pipeline::new(UnionAll::new(
                inputs
                    .iter()
                    .map(|input| self.node(input, rows))
                    .collect::<Result<_>>()?,
            )),
            Node::Adaptive { first, otherwise } => {
                let trial = Trial::default();
                let compiler = Compiler {
                    working: self.working,
                    kept: self.kept,
                    trial: Some(trial.clone()),
                    ..Compiler::new(self.view, self.context)
                };
                let first = compiler.node(first, rows)?;
                let (view, working) = (self.view.clone(), self.working.to_vec());
                Pipeline::new(Adaptive::new(first, trial, otherwise, view, working))
            }
            Node::Recursive {
                id,
                base,
                step,
                distinct,
            } => {
                let base = self.node(base, BATCH_ROWS)?;
                let recursive = Recursive::new(*id, base, step, *distinct, self.working, self.view);
                Pipeline::new(recursive)
            }
            Node::WorkingTable { id, columns } => {
                let mut working = self.working.iter();
                let Some((_, table)) = working.find(|(found, _)| found == id) else {
                    unreachable!("a working table is read by the steps of its recursion only");
                };
                Pipeline::new(WorkingScan::new(table.clone(), columns.clone()))
            }
            Node::Part { id, columns, .. } => {
                let Some(parts) = &self.context.with else {
                    unreachable!("a statement with parts runs with them");
                };
                Pipeline::new(PartScan::new(Arc::clone(parts), *id, columns.clone()))
            }
            Node::SetOperation {
                operator,
                all,
                left,
                right,
            } => {
                let rows = RightRows::new(&right.schema);
                let right = Breaker::new(self.node(right, BATCH_ROWS)?, rows);
                self.node(left, BATCH_ROWS)?
                    .with(SetOperation::new(*operator, *all, right))
            }
        })
    }

    fn aggregate(
        &self,
        input: &PhysicalPlan,
        groups: &[Expr],
        calls: &[AggregateCall],
    ) -> Result<Pipeline<'t>> {
        if groups.is_empty()
            && let Some(fold) = Fold::new(&input.node, calls)
        {
            let fold = match &self.context.profiling {
                Some(profiling) => fold.measured(profiling.of(input)),
                None => fold,
            };
            let scan = FoldScan::new(fold, self.view);
            return Ok(Pipeline::new(match self.is_repeated {
                false => scan,
                true => scan.repeated(&input.node, calls),
            }));
        }
        let input = self.node(input, BATCH_ROWS)?;
        Ok(Pipeline::new(match self.is_repeated {
            false => Breaker::new(input, Aggregation::new(groups, calls)),
            true => {
                let (groups, calls) = (groups.to_vec(), calls.to_vec());
                Breaker::repeated(input, move |_| Ok(Aggregation::new(&groups, &calls)))
            }
        }))
    }

    fn limit(
        &self,
        input: &PhysicalPlan,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
    ) -> Result<Pipeline<'t>> {
        let stretch = Stretch::new(limit, offset, self.context)?;
        if stretch.limit == Some(0) {
            return Ok(nothing());
        }
        let end = stretch.end().unwrap_or(u64::MAX);
        let rows = end.clamp(1, BATCH_ROWS as u64) as usize;
        let input = self.first(input, rows, stretch.end())?;
        let operator = Limit::new(stretch);
        Ok(input.with(match self.is_repeated {
            false => operator,
            true => operator.repeated(limit, offset),
        }))
    }

    /// What only so many rows are `wanted` of: not more are locked than come out, or are passed over.
    fn first(
        &self,
        input: &PhysicalPlan,
        rows: usize,
        wanted: Option<u64>,
    ) -> Result<Pipeline<'t>> {
        let pipeline = match &input.node {
            Node::LockRows { input, locks } => self.lock_rows(input, locks, rows, wanted)?,
            Node::Project { input, exprs } => {
                let input = self.first(input, rows, wanted)?;
                input.with(Project::new(exprs.clone()))
            }
            _ => return self.node(input, rows),
        };
        Ok(self.metered(input, pipeline))
    }

    /// Rows that are locked, at most `wanted` of them. Where some may be left out, no more is known of how
    /// many have to be read.
    fn lock_rows(
        &self,
        input: &PhysicalPlan,
        locks: &[RowLock],
        rows: usize,
        wanted: Option<u64>,
    ) -> Result<Pipeline<'t>> {
        let Some(locker) = self.locker else {
            return Err(Error::unsupported("locking rows in this subquery").with_detail(
                "Rows are locked by a query of its own, or by a subquery of a change that names nothing of what is around it.",
            ));
        };
        let skips = locks.iter().any(|lock| lock.wait == LockWait::Skip);
        // An index scan asks for more from batch to batch, a table scan would not.
        let rows = match skips && !is_by_index(input) {
            true => BATCH_ROWS,
            false => rows,
        };
        let input = self.node(input, rows)?;
        Ok(input.with(LockRows::new(locks, locker, wanted)))
    }

    /// What a scan reads through.
    fn view_of(&self, scan: &physical::TableScan) -> ReadView {
        let view = self.view.clone();
        match scan.skips_locked {
            true => view.unrecorded(),
            false => view,
        }
    }

    /// The table of a join's right side: that of the round before, if there is one and it is the same.
    fn build(&self, join: &Join, keys: JoinKeys) -> Result<Breaker<'t, JoinBuild>> {
        let mut build = JoinBuild::new(keys, &join.right.schema);
        if let Some(kept) = self.kept
            && !join.right.reads_working_table()
        {
            let slot = kept.slot(join);
            if let Some(table) = slot.get() {
                return Ok(Breaker::done(table.clone()));
            }
            build = build.kept_in(slot);
        }
        Ok(Breaker::new(self.node(&join.right, BATCH_ROWS)?, build))
    }

    /// `rows` as in [`Self::node`].
    fn join(&self, join: &Join, rows: usize) -> Result<Pipeline<'t>> {
        let left = &join.left;
        let left_keys = JoinKeys::of(&join.keys, |key| &key.left);
        let build = self.build(join, JoinKeys::of(&join.keys, |key| &key.right))?;
        let probe = JoinProbe::new(left_keys, build, join.kind, join.filter.clone());
        let probe = probe.with_test(join.test.clone());
        if let Some(lookup) = &join.lookup {
            let rows = rows_of_left(join.kind, rows);
            let lookups = match &lookup.by {
                LookupBy::Rows(rows) => {
                    Lookups::by_index(rows, join.kind, self.view.clone(), self.context)
                }
                LookupBy::Plan(plan) => {
                    let (view, working) = (self.view.clone(), self.working.to_vec());
                    Lookups::by_plan(Apply::new(plan, join.kind, view, working))
                }
            };
            let join = IndexJoin::new(lookups, lookup.limit, probe);
            return Ok(self.node(left, rows)?.with(join));
        }
        let left = self.node(left, BATCH_ROWS)?;
        Ok(match join.kind {
            JoinKind::Full => Pipeline::new(FullJoin::new(left, &join.left.schema, probe)),
            _ => left.with(probe),
        })
    }
}

/// Whether rows come from an index, and nothing drops any but a filter of its own.
fn is_by_index(plan: &PhysicalPlan) -> bool {
    match &plan.node {
        Node::IndexScan(_) => true,
        Node::Project { input, .. } => is_by_index(input),
        _ => false,
    }
}

/// Rows of the left input of which that many of a join come, if each gives one at least.
fn rows_of_left(kind: JoinKind, rows: usize) -> usize {
    match kind {
        JoinKind::Left | JoinKind::Single | JoinKind::Mark => rows,
        JoinKind::Inner | JoinKind::Full | JoinKind::Semi | JoinKind::Anti => BATCH_ROWS,
    }
}

/// LIMIT 0: not even the first batch of the input is made.
fn nothing() -> Pipeline<'static> {
    Pipeline::new(UnionAll::new(Vec::new()))
}
