//! WITH queries that are run once for the whole statement, and not wherever they are named.
//!
//! Such is one that changes rows, and one that depends on nothing around it and is
//! - named more than once,
//! - said to be `MATERIALIZED`, or
//! - another one each time, because it calls functions that are.
//!
//! It becomes a *part* of the statement (`plan::with`), bound with columns of its own, and its name stands
//! for what was kept of its rows. Every other one stays what it was, a query in FROM.
//!
//! That a query is named twice is known when the second name comes, and the first has been bound as a query
//! in FROM by then. So the whole statement is bound once more, which nobody pays for whose queries are named
//! once.
//!
//! RETURNING that asks subqueries is a query over a part, too: the change gives what is named of its rows, and the
//! subqueries, which see nothing of the change, are asked of that.

use super::Binder;
use super::from::Source;
use super::query::{Output, Relation};
use super::traversal::refuse_traversal;
use super::with::With;
use crate::error::{Error, Result, state};
use crate::plan::collation::Derivation;
use crate::plan::logical::{Columns, Logical, LogicalStatement, Query};
use crate::plan::statement::Returning;
use crate::plan::with::PartRows;
use crate::plan::{Expr, ExprKind, Field, Statement};
use sqlparser::ast::{self, CteAsMaterialized};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A part, bound.
#[derive(Debug)]
pub(crate) struct BoundPart {
    /// Its number.
    pub id: usize,
    /// What it is called.
    pub name: String,
    /// What it does.
    pub statement: LogicalStatement,
    /// Its columns.
    pub columns: Columns,
    /// The parts that it reads.
    pub reads: Vec<usize>,
    /// What it gives; `None` for nothing.
    gives: Option<Vec<Field>>,
    /// The collations of that.
    collations: Vec<Derivation>,
}

/// A WITH query, by where it is in memory.
type Address = usize;

/// What is known of the WITH queries of a statement.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) bound: Vec<BoundPart>,
    /// The next one's number.
    next: usize,
    of: HashMap<Address, usize>,
    /// Those that are being bound, the outermost first.
    binding: Vec<Address>,
    /// The parts that what is being bound reads.
    pub(super) reads: Vec<usize>,
    /// The part that is the statement itself, where the statement shows what it asks of its rows.
    pub(super) counted: Option<usize>,
    /// Those that are to be run once.
    shared: HashSet<Address>,
    /// Whether one was found that had been bound otherwise.
    pub(super) again: bool,
    /// Which was named by which name.
    named: Vec<(Address, Address)>,
    /// Whether those that were bound could be run once.
    sharable: HashMap<Address, bool>,
    /// The outermost level, and the outermost recursion, of which anything was named.
    outermost: Outermost,
}

/// Places on the stacks of levels and of recursions.
#[derive(Clone, Copy)]
pub(super) struct Outermost {
    pub(super) level: usize,
    pub(super) recursion: usize,
}

impl Default for Outermost {
    fn default() -> Self {
        let (level, recursion) = (usize::MAX, usize::MAX);
        Self { level, recursion }
    }
}

impl Parts {
    /// Nothing but what an earlier attempt has found out, and numbers that it has not given.
    pub(super) fn once_more(&mut self) {
        *self = Self {
            shared: std::mem::take(&mut self.shared),
            next: self.next,
            ..Self::default()
        };
    }

    /// Numbers go on after those of `other`.
    pub(super) fn after(other: &Self) -> Self {
        Self {
            next: other.next,
            ..Self::default()
        }
    }

    /// Takes the parts of a query that was bound by itself.
    pub(super) fn take(&mut self, inner: Self) {
        self.next = inner.next;
        self.reads(inner.reads);
        self.bound.extend(inner.bound);
    }

    /// What is being bound reads these parts, each of which counts once.
    fn reads(&mut self, parts: impl IntoIterator<Item = usize>) {
        self.reads.extend(parts);
        self.reads.sort_unstable();
        self.reads.dedup();
    }

    /// Something of a level is named.
    pub(super) fn names_level(&mut self, level: usize) {
        self.outermost.level = self.outermost.level.min(level);
    }

    /// A recursion is named.
    pub(super) fn names_recursion(&mut self, recursion: usize) {
        self.outermost.recursion = self.outermost.recursion.min(recursion);
    }

    /// Begins to look at what is named; gives what is known so far.
    pub(super) fn watch(&mut self) -> Outermost {
        std::mem::take(&mut self.outermost)
    }

    /// Ends that: whether nothing was named of so many levels and recursions around.
    pub(super) fn names_nothing_of(
        &mut self,
        levels: usize,
        recursions: usize,
        before: Outermost,
    ) -> bool {
        let named = std::mem::replace(&mut self.outermost, before);
        self.names_level(named.level);
        self.names_recursion(named.recursion);
        named.level >= levels && named.recursion >= recursions
    }
}

impl<'a> Binder<'a> {
    /// Whether a WITH query is run once, now that it is named at `node`.
    pub(super) fn is_part(&mut self, with: With<'a>, node: &'a ast::ObjectName) -> bool {
        let (address, node) = (with.address(), std::ptr::from_ref(node) as Address);
        let named = &mut self.parts.named;
        let is_again = named
            .iter()
            .any(|(cte, other)| *cte == address && *other != node);
        if !named.contains(&(address, node)) {
            named.push((address, node));
        }
        if is_again && self.parts.sharable.get(&address) == Some(&true) {
            self.run_once(address);
        }
        with.changes() || self.parts.shared.contains(&address)
    }

    fn run_once(&mut self, address: Address) {
        if self.parts.shared.insert(address) {
            self.parts.again = true;
        }
    }

    /// Takes note of what has been bound as a query in FROM, and names nothing around it if it `is_free`.
    pub(super) fn note_bound(&mut self, with: With<'a>, relation: &Relation, is_free: bool) {
        let locks = relation
            .plan
            .any(&mut |node| matches!(node, Logical::Lock { .. }));
        let is_sharable = is_free && !locks && relation.rows.is_empty() && self.runs_once_at_most();
        let said = &with.cte().materialized;
        let is_refused = matches!(said, Some(CteAsMaterialized::NotMaterialized));
        let sharable = is_sharable && !is_refused;
        self.parts.sharable.insert(with.address(), sharable);
        let is_wanted =
            || matches!(said, Some(CteAsMaterialized::Materialized)) || is_volatile(&relation.plan);
        if is_sharable && is_wanted() {
            self.run_once(with.address());
        }
    }

    /// Whether what is being bound is run once for the statement: neither the body of a function, which is
    /// run for each call, nor the query of a view that is being made, which is not run.
    fn runs_once_at_most(&self) -> bool {
        self.record.is_none() && self.body_parameters.is_none()
    }

    /// What the name of a part stands for.
    pub(super) fn part_source(&mut self, with: With<'a>, shown: &str) -> Result<Source> {
        let index = self.part_of(with)?;
        let part = &self.parts.bound[index];
        let Some(gives) = part.gives.clone() else {
            let message = format!(
                "WITH query \"{}\" does not have a RETURNING clause",
                part.name
            );
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(with.place()));
        };
        with.check_names(gives.len())?;
        let relation = self.rows_of_part(index, gives);
        self.derived(relation, shown, Some(&with.cte().alias))
    }

    fn rows_of_part(&mut self, index: usize, gives: Vec<Field>) -> Relation {
        let collations = self.parts.bound[index].collations.clone();
        let part = &self.parts.bound[index];
        let (id, name) = (part.id, part.name.clone());
        let reads: Vec<usize> = part.reads.iter().copied().chain([id]).collect();
        self.parts.reads(reads);
        let outputs = gives.into_iter().map(|field| Output {
            column: self.columns.add(&field.name, field.data_type),
            name: field.name,
            data_type: field.data_type,
            unknown: None,
        });
        let outputs: Vec<Output> = outputs.collect();
        for (output, found) in outputs.iter().zip(collations) {
            self.columns.collations.set(output.column, found);
        }
        let numbers = outputs.iter().enumerate();
        let columns = numbers.map(|(at, output)| (output.column, at)).collect();
        Relation {
            plan: Logical::Part(PartRows { id, name, columns }),
            outputs,
            rows: Vec::new(),
        }
    }

    /// Binds a part, if that has not been done; gives where it is.
    pub(super) fn part_of(&mut self, with: With<'a>) -> Result<usize> {
        if let Some(found) = self.parts.of.get(&with.address()) {
            return Ok(*found);
        }
        if self.parts.binding.contains(&with.address()) {
            let name = with.name()?;
            let message =
                format!("recursive query \"{name}\" must not contain data-modifying statements");
            return Err(Error::new(state::INVALID_RECURSION, message).at(with.place()));
        }
        self.parts.binding.push(with.address());
        let beside = self.columns.beside();
        let columns = std::mem::replace(&mut self.columns, beside);
        let around = (self.visible.take(), self.lateral.take());
        let reads = std::mem::take(&mut self.parts.reads);
        let requests = std::mem::take(&mut self.requests);
        let locking = std::mem::take(&mut self.locking);
        let mut inner = self.with[..with.visible()].to_vec();
        std::mem::swap(&mut self.with, &mut inner);
        let bound = self.deeper(with.place(), |binder| {
            binder.deeper(with.place(), |binder| binder.part_statement(with))
        });
        self.with = inner;
        self.parts.binding.pop();
        self.locking = locking;
        self.requests = requests;
        (self.visible, self.lateral) = around;
        let columns = std::mem::replace(&mut self.columns, columns);
        let reads = std::mem::replace(&mut self.parts.reads, reads);
        let (statement, gives) = bound?;
        let index = self.add_part(with.name()?, statement, columns, reads, gives);
        self.parts.of.insert(with.address(), index);
        Ok(index)
    }

    fn add_part(
        &mut self,
        name: String,
        mut statement: LogicalStatement,
        columns: Columns,
        reads: Vec<usize>,
        gives: Option<Vec<Field>>,
    ) -> usize {
        let of = |column: usize| columns.collations.of_column(column);
        let collations = match &mut statement {
            LogicalStatement::Query(query) => query.output.iter().map(|(_, c)| of(*c)).collect(),
            change => {
                let shown = returning(change).map_or(&[][..], |shown| &shown.exprs);
                shown
                    .iter()
                    .map(|expr| columns.collations.of(expr))
                    .collect()
            }
        };
        self.parts.bound.push(BoundPart {
            collations,
            id: self.parts.next,
            name,
            statement,
            columns,
            reads,
            gives,
        });
        self.parts.next += 1;
        self.parts.bound.len() - 1
    }

    /// What a part does, and what it gives.
    fn part_statement(&mut self, with: With<'a>) -> Result<(LogicalStatement, Option<Vec<Field>>)> {
        let query = &*with.cte().query;
        if !with.changes() {
            let relation = self.with_body(with)?;
            let gives = relation.outputs.iter().map(|output| Field {
                name: output.name.clone(),
                data_type: output.data_type,
            });
            let gives = Some(gives.collect());
            return Ok((LogicalStatement::Query(relation.into()), gives));
        }
        if !with.is_outermost() {
            let message =
                "WITH clause containing a data-modifying statement must be at the top level";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(with.place()));
        }
        refuse_traversal(with)?;
        let counted = self.parts.counted.take();
        let bound = self.with_change(query);
        self.parts.counted = counted;
        let (mut statement, _) = bound?;
        let gives = match &mut statement {
            LogicalStatement::Query(query) => {
                let output = query.output.iter();
                let field = |(name, column): &(String, usize)| Field {
                    name: name.clone(),
                    data_type: self.columns.field(*column).data_type,
                };
                Some(output.map(field).collect())
            }
            change => returning(change).as_ref().map(|shown| shown.schema.clone()),
        };
        Ok((statement, gives))
    }

    /// A change whose RETURNING asks subqueries, as a query over what it gives.
    pub(super) fn asking_afterwards(&mut self, mut change: LogicalStatement) -> LogicalStatement {
        let Some(shown) = returning(&mut change) else {
            return change;
        };
        if !shown.exprs.iter().any(Expr::has_subquery) {
            return change;
        }
        let Returning { exprs, schema } = std::mem::take(shown);
        let mut named: BTreeSet<usize> = exprs.iter().flat_map(Expr::columns).collect();
        if named.is_empty() {
            // So that there are rows.
            named.insert(0);
        }
        let fields = named
            .iter()
            .map(|column| self.columns.field(*column).clone());
        shown.schema = fields.collect();
        shown.exprs = named
            .iter()
            .map(|column| self.columns.expr(*column))
            .collect();
        let gives = shown.schema.clone();
        let reads = self.parts.reads.clone();
        let columns = self.columns.clone();
        let index = self.add_part(
            "returning".to_owned(),
            change,
            columns,
            reads,
            Some(gives.clone()),
        );
        self.parts.counted = Some(self.parts.bound[index].id);
        let relation = self.rows_of_part(index, gives);
        let fresh: HashMap<usize, usize> = (named.into_iter())
            .zip(relation.outputs.iter().map(|output| output.column))
            .collect();
        let over = |expr: Expr| {
            expr.replace(&mut |part| match part.kind {
                ExprKind::Column(column) => {
                    Some(Expr::column(*fresh.get(&column)?, part.data_type))
                }
                _ => None,
            })
        };
        let exprs = exprs.into_iter().zip(schema).map(|(expr, field)| {
            let value = over(expr);
            let number = self.columns.add_for(&field.name, &value);
            ((field.name, number), (number, value))
        });
        let (output, exprs) = exprs.unzip();
        let input = Box::new(relation.plan);
        let plan = Logical::Project { input, exprs };
        LogicalStatement::Query(Query { plan, output })
    }
}

/// RETURNING of a change.
fn returning(change: &mut LogicalStatement) -> Option<&mut Returning> {
    match change {
        LogicalStatement::InsertQuery(insert, _)
        | LogicalStatement::Done(Statement::Insert(insert)) => insert.returning.as_mut(),
        LogicalStatement::Change(Statement::Update(update), _) => update.returning.as_mut(),
        LogicalStatement::Change(Statement::Delete(delete), _) => delete.returning.as_mut(),
        LogicalStatement::Merge(merge, _) => merge.returning.as_mut().map(|found| &mut found.shown),
        _ => None,
    }
}

/// Whether running a plan twice may give different rows, or does twice what it does.
fn is_volatile(plan: &Logical) -> bool {
    let mut volatile = false;
    plan.for_each_expr(&mut |expr| {
        volatile |= !expr.is_stable();
        volatile |= expr.any(&mut |part| match &part.kind {
            ExprKind::Subquery(subquery) => is_volatile(&subquery.plan),
            _ => false,
        });
    });
    volatile
}
