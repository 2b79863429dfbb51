//! ALTER TABLE: what the table will be, and where the values of its rows come from.
//!
//! 1. The actions are applied to a draft of the table in PostgreSQL's order, whatever order they are written
//!    in: what goes, types, columns that come, then what is said about them. So `DROP a, ADD a INT` works.
//! 2. Beside each column of the draft stands its value, over the columns of the table as it is. Whether the
//!    rows have to be written anew, or only tested, or not even looked at, is seen at the end by comparing
//!    the draft with the table.
//!
//! Renaming is a statement of its own (`rename`).

use super::alter_action::{action_name, identities_of, turn};
use super::alter_constraint::Untested;
use super::altered::Altered;
use super::check::{bind_check, positions};
use super::computed_key::hidden_from;
use super::draft::Draft;
use super::from::table_scope;
use super::generated::{computed_from, generated_of};
use super::index::Names;
use super::sequence::refuse_users;
use super::storage_parameter::ttl::refuse_column;
use super::trigger::enable;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::Located;
use crate::parse::{SequenceOptions, parse_expression, place, refuse};
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use crate::plan::physical::PhysicalPlan;
use crate::plan::structure::{AlterTable, AlteredRows, NumberedColumn, Step, Tests};
use remora_storage::IndexId;
use remora_storage::catalog::{ColumnDef, TableEntry};
use sqlparser::ast::{self, AlterTableOperation};
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// Binds an ALTER TABLE.
    pub(super) fn alter_table(&mut self, alter: &'a ast::AlterTable) -> Result<LogicalStatement> {
        let at = name::object_place(&alter.name);
        if alter.location.is_some() || alter.on_cluster.is_some() || alter.table_type.is_some() {
            return refuse("this form of ALTER TABLE", at);
        }
        let relation = match alter.if_exists {
            true => self.relation(&alter.name)?,
            false => self.relation_there(&alter.name)?,
        };
        if alter.if_exists && !self.relation_exists(&relation) {
            return Ok(LogicalStatement::Done(Statement::Structure(Vec::new())));
        }
        if let [operation] = alter.operations.as_slice()
            && let Some(renamed) = self.rename(&relation, operation, at)?
        {
            return Ok(LogicalStatement::Done(renamed));
        }
        let mut actions = Vec::with_capacity(alter.operations.len());
        let mut identities = self.aside.identities.as_slice();
        for operation in &alter.operations {
            let (own, others) = identities.split_at(identities_of(operation).min(identities.len()));
            identities = others;
            actions.push((turn(operation, at)?, operation, own));
        }
        self.refuse_other_relation(&relation, &alter.operations, at)?;
        let mut altered = self.altered_table(&relation, at)?;
        actions.sort_by_key(|(turn, ..)| *turn);
        for (_, operation, identities) in actions {
            self.action(&mut altered, operation, identities, at)?;
        }
        self.finish_alter(altered)
    }

    /// Complains where an action is about an index or a view.
    fn refuse_other_relation(
        &self,
        relation: &Located,
        operations: &[AlterTableOperation],
        at: Option<Position>,
    ) -> Result<()> {
        let kind = match self.catalog.table(relation) {
            Some(table) if table.def.materialized.is_some() => "materialized views",
            Some(_) => return Ok(()),
            None if self.catalog.index(relation).is_some() => "indexes",
            None if self.catalog.view(relation).is_some() => "views",
            None => return Ok(()),
        };
        let action = operations.first().map_or("", action_name);
        let message =
            format!("ALTER action {action} cannot be performed on relation \"{relation}\"");
        Err(Error::new(state::WRONG_OBJECT_TYPE, message)
            .with_detail(format!("This operation is not supported for {kind}."))
            .at(at))
    }

    /// The table as it is.
    pub(super) fn altered_table(
        &mut self,
        relation: &Located,
        at: Option<Position>,
    ) -> Result<Altered<'a>> {
        let entry = self.table(relation, at)?;
        Ok(self.altered_entry(entry))
    }

    /// The same of a table that was found.
    pub(super) fn altered_entry(&mut self, entry: Arc<TableEntry>) -> Altered<'a> {
        let scan = self.scan(&entry, false);
        let values = scan.columns.iter();
        let values = values
            .map(|(number, _)| self.columns.expr(*number))
            .collect();
        Altered {
            draft: Draft::new(entry.def.clone()),
            scope: table_scope(&scan, entry.def.name.clone(), None),
            entry,
            values,
            scan,
            dropped: Vec::new(),
            keeps_hidden: false,
            before: Vec::new(),
            after: Vec::new(),
            validated: Vec::new(),
            redefined: Vec::new(),
            retested: Vec::new(),
            untested: Untested::default(),
        }
    }

    fn action(
        &mut self,
        altered: &mut Altered<'a>,
        operation: &'a AlterTableOperation,
        identities: &'a [SequenceOptions],
        at: Option<Position>,
    ) -> Result<()> {
        use AlterTableOperation as O;
        match operation {
            O::AddColumn {
                if_not_exists,
                column_def,
                ..
            } => self.add_column(altered, column_def, *if_not_exists, identities),
            O::AddConstraint {
                constraint,
                not_valid,
            } => {
                let using = match constraint {
                    ast::TableConstraint::PrimaryKeyUsingIndex(using) => Some((using, true)),
                    ast::TableConstraint::UniqueUsingIndex(using) => Some((using, false)),
                    _ => None,
                };
                if let Some((using, is_primary)) = using {
                    return self.constraint_using_index(altered, using, is_primary);
                }
                let counts = (altered.draft.checks.len(), altered.draft.foreign_keys.len());
                self.table_constraint(&mut altered.draft, constraint, at)?;
                if *not_valid {
                    let (checks, keys) = counts;
                    let draft = &mut altered.draft;
                    let new = draft.foreign_keys[keys..].iter_mut();
                    new.for_each(|key| key.not_valid = true);
                    altered.untested.checks.extend(checks..draft.checks.len());
                    altered.untested.keys.extend(keys..draft.foreign_keys.len());
                }
                Ok(())
            }
            O::ValidateConstraint { name } => self.validate_constraint(altered, name),
            O::DropColumn {
                column_names,
                if_exists,
                drop_behavior,
                ..
            } => {
                let cascade = *drop_behavior == Some(ast::DropBehavior::Cascade);
                let mut names = column_names.iter();
                names.try_for_each(|name| self.drop_column(altered, name, *if_exists, cascade))
            }
            O::DropConstraint {
                if_exists,
                name,
                drop_behavior,
            } => {
                let cascade = *drop_behavior == Some(ast::DropBehavior::Cascade);
                self.drop_constraint(altered, name, *if_exists, cascade)
            }
            O::EnableTrigger { name } => enable(&mut altered.draft.table, name, true),
            O::DisableTrigger { name } => enable(&mut altered.draft.table, name, false),
            O::SetLogged => self.set_logged(&mut altered.draft.table, true, at),
            O::SetUnlogged => self.set_logged(&mut altered.draft.table, false, at),
            O::AlterColumn { column_name, op } => {
                self.alter_column(altered, column_name, op, identities)
            }
            _ => refuse("this action of ALTER TABLE", at),
        }
    }

    fn add_column(
        &mut self,
        altered: &mut Altered<'a>,
        column: &'a ast::ColumnDef,
        if_not_exists: bool,
        identities: &'a [SequenceOptions],
    ) -> Result<()> {
        let (column_name, at) = (name::fold(&column.name)?, place(column.name.span));
        let table = &altered.draft.table;
        if table.column(&column_name).is_some() {
            if if_not_exists {
                return Ok(());
            }
            return Err(column_exists(&column_name, &table.name).at(at));
        }
        altered.draft.add_column(column, self)?;
        let position = altered.draft.table.columns.len() - 1;
        let mut identities = identities.iter();
        for option in &column.options {
            self.column_option(
                &mut altered.draft,
                (position, &column.name),
                option,
                &mut identities,
            )?;
        }
        let column = &altered.draft.table.columns[position];
        altered.values.push(self.default_value(column)?);
        Ok(())
    }

    pub(super) fn drop_column(
        &mut self,
        altered: &mut Altered<'a>,
        ident: &ast::Ident,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let column_name = name::fold(ident)?;
        let table = &altered.draft.table;
        let Some((position, column)) = table.column(&column_name) else {
            if if_exists {
                return Ok(());
            }
            let table = &table.name;
            let message =
                format!("column \"{column_name}\" of relation \"{table}\" does not exist");
            return Err(Error::new(state::UNDEFINED_COLUMN, message).at(place(ident.span)));
        };
        let id = column.id;
        refuse_column(table, id, place(ident.span))?;
        let computed = computed_from(self.catalog, table, id)?;
        let dependents = self.without_column(&altered.entry, id, &computed, cascade)?;
        if !computed.is_empty() {
            for name in computed {
                let computed = ast::Ident::with_quote('"', name);
                self.drop_column(altered, &computed, false, cascade)?;
            }
            return self.drop_column(altered, ident, if_exists, cascade);
        }
        let table = &altered.draft.table;
        let own = table
            .foreign_keys
            .iter()
            .filter(|key| key.columns.contains(&id));
        let own = own.map(|key| Step::DropForeignKey(table.id, key.name.clone()));
        let first: Vec<Step> = dependents.into_iter().chain(own).collect();
        // Constraints and indexes that need the column go with it.
        let scope = positions(&table.name, &table.columns);
        let mut kept = Vec::with_capacity(table.checks.len());
        for check in &table.checks {
            let syntax = parse_expression(&check.expression)?;
            let bound = bind_check(self.catalog, &syntax, (&scope, &table.columns))?;
            if !bound.columns().contains(&position) {
                kept.push(check.clone());
            }
        }
        altered.draft.table.checks = kept;
        first.into_iter().for_each(|step| altered.first(step));
        let indexes = altered.entry.indexes.iter();
        let covering = indexes.filter(|index| index.covers(id));
        let covering: Vec<IndexId> = covering.map(|index| index.def.id).collect();
        covering.into_iter().for_each(|id| altered.drop_index(id));
        altered.drop_keys(&hidden_from(self.catalog, &altered.draft.table, id)?);
        // So do the sequences that belong to it.
        let owner = (altered.entry.def.id, id);
        let what = format!("column {column_name} of table {}", altered.draft.table.name);
        for sequence in self.catalog.sequences_of(owner.0) {
            if sequence.def.owner == Some(owner) {
                let stays =
                    |table: &TableEntry, column: &ColumnDef| (table.def.id, column.id) != owner;
                refuse_users(self.catalog, sequence.def.id, &what, stays)?;
                altered.after.push(Step::DropSequence(sequence.def.id));
            }
        }
        altered
            .draft
            .table
            .triggers
            .retain(|trigger| !trigger.uses(id));
        altered.draft.table.columns.remove(position);
        altered.values.remove(position);
        Ok(())
    }

    /// Compares what the table will be with what it is.
    pub(super) fn finish_alter(&mut self, mut altered: Altered<'a>) -> Result<LogicalStatement> {
        if altered.draft.table.shown().next().is_none() {
            return refuse("a table without columns", None);
        }
        let numbered = self.new_sequences(&mut altered)?;
        let old_checks = altered.draft.table.checks.len();
        let untested = std::mem::take(&mut altered.untested);
        let written = std::mem::take(&mut altered.draft.foreign_keys);
        let mut after = self.added_indexes(&mut altered)?;
        for number in &untested.checks {
            altered.draft.table.checks[old_checks + number].not_valid = true;
        }
        self.compute(&mut altered)?;
        altered.leave_out_hidden();
        after.append(&mut altered.after);
        let rewrites = altered.is_rewritten();
        let tests = Tests {
            not_null: altered.not_null_to_test(),
            checks: self.checks_to_test(&altered, |number, name| {
                let is_new = number >= old_checks;
                let is_untested = is_new && untested.checks.contains(&(number - old_checks));
                let is_asked = altered.validated.iter().any(|asked| asked == name);
                (rewrites || is_new || is_asked) && !is_untested
            })?,
        };
        let mut foreign_keys = self.coming_keys(&altered, &after, written)?;
        foreign_keys.append(&mut altered.redefined);
        let keys = foreign_keys.iter().enumerate();
        let tested = keys.filter(|(number, _)| !untested.keys.contains(number));
        let id = altered.entry.def.id;
        let tested = tested.filter(|(_, key)| !key.def.not_valid);
        let tested = tested.map(|(_, key)| (id, key.def.name.clone()));
        let validated: Vec<_> = tested
            .chain(std::mem::take(&mut altered.retested))
            .collect();
        let is_same = altered.draft.table == altered.entry.def && tests.checks.is_empty();
        let is_same = is_same && numbered.is_empty();
        if !rewrites && is_same && foreign_keys.is_empty() && validated.is_empty() {
            let steps = altered.before.into_iter().chain(after).collect();
            return Ok(LogicalStatement::Done(Statement::Structure(steps)));
        }
        let has_tests = !tests.not_null.is_empty() || !tests.checks.is_empty();
        let rows = match (rewrites, has_tests) {
            (true, _) => AlteredRows::Rewritten(Box::new(PhysicalPlan::nothing()), altered.kept()),
            (false, true) => AlteredRows::Tested(Box::new(PhysicalPlan::nothing())),
            (false, false) => AlteredRows::Left,
        };
        let query = altered.query(self);
        let alter = AlterTable {
            before: altered.before,
            def: altered.draft.table,
            rows,
            tests,
            after,
            foreign_keys,
            validated,
            numbered,
        };
        Ok(LogicalStatement::AlterTable(Box::new(alter), query))
    }

    /// The sequences of columns that get one.
    fn new_sequences(&mut self, altered: &mut Altered<'a>) -> Result<Vec<NumberedColumn>> {
        let numbered = std::mem::take(&mut altered.draft.numbered);
        let table = &altered.draft.table;
        let mut names = Names::new(self.catalog, table);
        let made = numbered.iter().map(|(position, numbered)| {
            let column = table.columns[*position].id;
            Ok(NumberedColumn {
                column,
                sequence: self.column_sequence(&mut names, table, *position, numbered)?,
                fills: altered.entry.def.position(column).is_none(),
            })
        });
        made.collect()
    }

    /// Puts what generated columns that come, or change their type, are computed from in place of their values.
    fn compute(&mut self, altered: &mut Altered<'a>) -> Result<()> {
        for (position, expr) in generated_of(self.catalog, &altered.draft.table, None)? {
            let column = &altered.draft.table.columns[position];
            let is_kept = expr
                .columns()
                .into_iter()
                .all(|at| altered.kept_from(at).is_some());
            let is_same = |old: &ColumnDef| {
                old.id == column.id
                    && old.data_type == column.data_type
                    && (is_kept || altered.keeps_hidden || !column.is_hidden())
            };
            if !altered.entry.def.columns.iter().any(is_same) {
                let values = &altered.values;
                altered.values[position] =
                    expr.replace_columns(&mut |at, _| Some(values[at].clone()));
            }
        }
        Ok(())
    }
}

/// The complaint about a column that is there already.
pub(super) fn column_exists(column: &str, table: &str) -> Error {
    let message = format!("column \"{column}\" of relation \"{table}\" already exists");
    Error::new(state::DUPLICATE_COLUMN, message)
}
