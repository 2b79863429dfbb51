//! MERGE: a table beside a source, and what is done with the rows that meet and with those that do not.

use super::from::factor_place;
use super::insert::targets;
use super::join::cross;
use super::scope::{Scope, ScopeColumn};
use super::through::Written;
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{place, refuse};
use crate::plan::Expr;
use crate::plan::logical::{Join, Logical, LogicalStatement};
use crate::plan::merge::{Merge, MergeAction, MergeClause, MergeReturning};
use crate::plan::physical::{JoinKind, PhysicalPlan};
use crate::plan::statement::{Insert, InsertSource, Target, Update};
use remora_storage::catalog::TableEntry;
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, MergeClauseKind, MergeInsertKind, MergeUpdateKind};
use std::sync::Arc;

/// The name in scopes of the column with the action on a row. No name in a statement can contain its first character.
const MERGE_ACTION: &str = "\0merge_action";

impl<'a> Binder<'a> {
    /// Binds a MERGE.
    pub(super) fn merge(&mut self, merge: &'a ast::Merge) -> Result<LogicalStatement> {
        let at = place(merge.merge_token.0.span);
        self.refuse_merge_into_view(&merge.table)?;
        let changed = self.changed_factor(&merge.table, "merge into", at)?;
        let table = changed.table;
        let source = self.factor(&merge.source)?;
        let not_matched = source.scope.clone();
        let own = changed.rows.scope.columns.len();
        let (target, rows) = (changed.rows.plan.clone(), source.plan.clone());
        let both = cross(
            changed.rows,
            source,
            Vec::new(),
            factor_place(&merge.source),
        );
        let both = both.map_err(|error| twice(&error))?.scope;
        let mut cx = Context::new(&both, Clause::On);
        let on = self.condition_of(&merge.on, "JOIN/ON", &mut cx)?;
        let clauses = merge.clauses.iter();
        let clauses = clauses.map(|clause| self.merge_clause(&table, clause, &both, &not_matched));
        let clauses = clauses.collect::<Result<Vec<_>>>()?;
        check_reachable(&clauses)?;
        let keeps_all = clauses.iter().any(|clause| !clause.matched);
        let kind = if keeps_all {
            JoinKind::Left
        } else {
            JoinKind::Inner
        };
        let plan = Logical::Join(Join::new(rows, target, kind, on.conjuncts()));
        let (returning, plan) = self.merge_returning(merge.output.as_ref(), both, own, plan)?;
        let merge = Merge {
            table,
            rows: PhysicalPlan::nothing(),
            clauses,
            returning,
        };
        Ok(LogicalStatement::Merge(Box::new(merge), plan))
    }

    /// Binds RETURNING over the source's columns followed by the table's, which are the first `own` ones of the scope. Adds
    /// a column for the action to the plan.
    fn merge_returning(
        &mut self,
        output: Option<&'a ast::OutputClause>,
        mut both: Scope,
        own: usize,
        plan: Logical,
    ) -> Result<(Option<MergeReturning>, Logical)> {
        let items = match output {
            None => return Ok((None, plan)),
            Some(ast::OutputClause::Returning { select_items, .. }) => select_items,
            Some(ast::OutputClause::Output { output_token, .. }) => {
                return Err(name::syntax_error("OUTPUT", place(output_token.0.span)));
            }
        };
        let action = self.columns.add("merge_action", DataType::Text);
        both.columns.rotate_left(own);
        both.columns.push(ScopeColumn::new(
            None,
            MERGE_ACTION.to_owned(),
            action,
            DataType::Text,
        ));
        both.unlisted.push(action);
        let shown = self.returning(Some(items), &both)?.unwrap_or_default();
        let passed = plan.columns().into_iter();
        let passed = passed.map(|column| (column, self.columns.expr(column)));
        let nothing = Expr::literal(Value::Null, DataType::Text);
        let plan = plan.project(passed.chain([(action, nothing)]).collect());
        let action = self.columns.expr(action);
        Ok((Some(MergeReturning { shown, action }), plan))
    }

    /// Binds `merge_action()` within the RETURNING of a MERGE; returns `None` elsewhere.
    pub(super) fn merge_action(
        &mut self,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Option<Bound> {
        let found = self.lookup_bare(MERGE_ACTION, at, cx).ok()?;
        Some(self.use_of(&found, at, cx))
    }

    fn refuse_merge_into_view(&self, table: &ast::TableFactor) -> Result<()> {
        let ast::TableFactor::Table { name, .. } = table else {
            return Ok(());
        };
        let relation = self.relation(name)?;
        if self.catalog.view(&relation).is_none() {
            return Ok(());
        }
        let message = format!("cannot execute MERGE on relation \"{}\"", relation.name());
        Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
            .with_detail("This operation is not supported for views.")
            .at(name::object_place(name)))
    }

    fn merge_clause(
        &mut self,
        table: &Arc<TableEntry>,
        clause: &'a ast::MergeClause,
        both: &Scope,
        source: &Scope,
    ) -> Result<MergeClause> {
        let at = place(clause.when_token.0.span);
        let matched = match clause.clause_kind {
            MergeClauseKind::Matched => true,
            MergeClauseKind::NotMatched => false,
            MergeClauseKind::NotMatchedByTarget | MergeClauseKind::NotMatchedBySource => {
                return refuse("NOT MATCHED BY", at);
            }
        };
        let scope = if matched { both } else { source };
        let condition = match &clause.predicate {
            Some(condition) => {
                let mut cx = Context::new(scope, Clause::MergeWhen);
                Some(self.condition_of(condition, "WHEN", &mut cx)?)
            }
            None => None,
        };
        let action = match &clause.action {
            ast::MergeAction::DoNothing { .. } => MergeAction::Nothing,
            ast::MergeAction::Delete { .. } if matched => MergeAction::Delete,
            ast::MergeAction::Update(update) if matched => {
                MergeAction::Update(self.merge_update(table, update, both, at)?)
            }
            ast::MergeAction::Insert(insert) if !matched => {
                let row = self.merge_insert(table, insert, source, at)?;
                let insert = Insert {
                    checks: self.checks(&table.def, None)?,
                    generated: self.generated(&table.def)?,
                    table: Arc::clone(table),
                    source: InsertSource::Values(Vec::new()),
                    on_conflict: None,
                    returning: None,
                };
                MergeAction::Insert(insert, row)
            }
            _ => return Err(sql_error!(SYNTAX_ERROR, "syntax error in MERGE").at(at)),
        };
        Ok(MergeClause {
            matched,
            condition,
            action,
        })
    }

    fn merge_update(
        &mut self,
        table: &Arc<TableEntry>,
        update: &'a ast::MergeUpdateExpr,
        both: &Scope,
        at: Option<Position>,
    ) -> Result<Update> {
        if update.update_predicate.is_some() || update.delete_predicate.is_some() {
            return refuse("this form of UPDATE", at);
        }
        let MergeUpdateKind::Set(assignments) = &update.kind else {
            return refuse("this form of UPDATE", at);
        };
        let mut cx = Context::new(both, Clause::Update);
        let mut assignments = self.assignments(Written::of(&table.def), assignments, &mut cx)?;
        let (generated, checks) = self.follows(&table.def, &mut assignments)?;
        Ok(Update {
            generated,
            checks,
            assignments: assignments
                .into_iter()
                .map(|(position, value)| (table.def.columns[position].id, value))
                .collect(),
            table: Arc::clone(table),
            target: Target::nothing(),
            returning: None,
        })
    }

    fn merge_insert(
        &mut self,
        table: &Arc<TableEntry>,
        insert: &'a ast::MergeInsertExpr,
        source: &Scope,
        at: Option<Position>,
    ) -> Result<Vec<Expr>> {
        let MergeInsertKind::Values(values) = &insert.kind else {
            return refuse("this form of INSERT", at);
        };
        let [row] = values.rows.as_slice() else {
            return refuse("MERGE that inserts several rows", at);
        };
        let targets = targets(Written::of(&table.def), &insert.columns, self.aside)?;
        self.one_row(table, &targets, &row.content, source)
    }
}

/// A clause behind one that always applies never does.
fn check_reachable(clauses: &[MergeClause]) -> Result<()> {
    for matched in [true, false] {
        let mut of_kind = clauses.iter().filter(|clause| clause.matched == matched);
        let unconditional = of_kind.by_ref().any(|clause| clause.condition.is_none());
        if unconditional && of_kind.next().is_some() {
            return Err(sql_error!(
                SYNTAX_ERROR,
                "unreachable WHEN clause specified after unconditional WHEN clause"
            ));
        }
    }
    Ok(())
}

fn twice(error: &Error) -> Error {
    let message = error.message().replace("table name", "name");
    Error::new(state::DUPLICATE_ALIAS, message)
        .with_detail("The name is used both as MERGE target table and data source.")
        .at(error.position())
}
