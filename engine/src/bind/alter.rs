//! ALTER TABLE: what the table will be, and where the values of its rows come from.
//!
//! 1. The actions are applied to a draft of the table in PostgreSQL's order, whatever order they are written
//!    in: what goes, types, columns that come, then what is said about them. So `DROP a, ADD a INT` works.
//! 2. Beside each column of the draft stands its value, over the columns of the table as it is. Whether the
//!    rows have to be written anew, or only tested, or not even looked at, is seen at the end by comparing
//!    the draft with the table.
//!
//! Renaming is a statement of its own (`rename`).

use super::alter_action::{action_name, turn};
use super::check::{bind_check, column_position, default_of, positions, set_default};
use super::from::table_scope;
use super::index::Names;
use super::scope::Scope;
use super::sequence::refuse_users;
use super::table::Draft;
use super::{Binder, Bound, Clause, Context, coerce, data_type, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{parse_expression, place, refuse};
use crate::plan::logical::{Logical, LogicalStatement, Query, Scan};
use crate::plan::physical::{Node, PhysicalPlan};
use crate::plan::structure::{AlterTable, AlteredRows, Step, Tests};
use crate::plan::{Expr, ExprKind, Statement};
use remora_storage::catalog::{ColumnDef, Constraint, IndexDef, TableEntry};
use remora_storage::{DataType, IndexId};
use sqlparser::ast::{self, AlterColumnOperation, AlterTableOperation};
use std::sync::Arc;

/// A table between what it is and what it will be.
struct Altered<'n> {
    entry: Arc<TableEntry>,
    /// What it will be, with what is to be added.
    draft: Draft<'n>,
    /// The value of each of the draft's columns, over the columns of `scan`.
    values: Vec<Expr>,
    scan: Scan,
    scope: Scope,
    dropped: Vec<IndexId>,
    before: Vec<Step>,
    after: Vec<Step>,
}

impl<'a> Binder<'a> {
    /// Binds an ALTER TABLE.
    pub(super) fn alter_table(&mut self, alter: &'a ast::AlterTable) -> Result<LogicalStatement> {
        let at = name::object_place(&alter.name);
        if alter.location.is_some() || alter.on_cluster.is_some() || alter.table_type.is_some() {
            return refuse("this form of ALTER TABLE", at);
        }
        let relation = name::relation(&alter.name)?;
        if alter.if_exists && !self.relation_exists(&relation) {
            return Ok(LogicalStatement::Done(Statement::Structure(Vec::new())));
        }
        if let [operation] = alter.operations.as_slice()
            && let Some(renamed) = self.rename(&relation, operation, at)?
        {
            return Ok(LogicalStatement::Done(renamed));
        }
        let mut actions = Vec::with_capacity(alter.operations.len());
        for operation in &alter.operations {
            actions.push((turn(operation, at)?, operation));
        }
        self.refuse_other_relation(&relation, &alter.operations, at)?;
        let mut altered = self.altered_table(&relation, at)?;
        actions.sort_by_key(|(turn, _)| *turn);
        for (_, operation) in actions {
            self.action(&mut altered, operation, at)?;
        }
        self.finish_alter(altered)
    }

    /// Complains where an action is about an index or a view.
    fn refuse_other_relation(
        &self,
        relation: &str,
        operations: &[AlterTableOperation],
        at: Option<Position>,
    ) -> Result<()> {
        let kind = match self.catalog.table(relation) {
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
    fn altered_table(&mut self, relation: &str, at: Option<Position>) -> Result<Altered<'a>> {
        let entry = self.table(relation, at)?;
        let scan = self.scan(&entry, false);
        let values = scan.columns.iter();
        let values = values
            .map(|(number, _)| self.columns.expr(*number))
            .collect();
        Ok(Altered {
            draft: Draft::new(entry.def.clone()),
            scope: table_scope(&scan, relation.to_owned(), None),
            entry,
            values,
            scan,
            dropped: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
        })
    }

    fn action(
        &mut self,
        altered: &mut Altered<'a>,
        operation: &'a AlterTableOperation,
        at: Option<Position>,
    ) -> Result<()> {
        use AlterTableOperation as O;
        match operation {
            O::AddColumn {
                if_not_exists,
                column_def,
                ..
            } => self.add_column(altered, column_def, *if_not_exists),
            O::AddConstraint { constraint, .. } => {
                self.table_constraint(&mut altered.draft, constraint, at)
            }
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
            O::AlterColumn { column_name, op } => self.alter_column(altered, column_name, op),
            _ => refuse("this action of ALTER TABLE", at),
        }
    }

    fn add_column(
        &mut self,
        altered: &mut Altered<'a>,
        column: &'a ast::ColumnDef,
        if_not_exists: bool,
    ) -> Result<()> {
        let (column_name, at) = (name::fold(&column.name)?, place(column.name.span));
        let table = &altered.draft.table;
        if table.column(&column_name).is_some() {
            if if_not_exists {
                return Ok(());
            }
            return Err(column_exists(&column_name, &table.name).at(at));
        }
        altered.draft.add_column(column)?;
        let position = altered.draft.table.columns.len() - 1;
        let mut identities = self.aside.identities.iter();
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

    fn drop_column(
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
        let dependents = self.without_column(&altered.entry, id, cascade)?;
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
            let bound = bind_check(self.catalog, &parse_expression(&check.expression)?, &scope)?;
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
        altered.draft.table.columns.remove(position);
        altered.values.remove(position);
        Ok(())
    }

    fn drop_constraint(
        &mut self,
        altered: &mut Altered<'a>,
        ident: &ast::Ident,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let name = name::fold(ident)?;
        let table = &mut altered.draft.table;
        if let Some(at) = table.checks.iter().position(|check| check.name == name) {
            table.checks.remove(at);
            return Ok(());
        }
        if table.foreign_keys.iter().any(|key| key.name == name) {
            altered.first(Step::DropForeignKey(altered.entry.def.id, name));
            return Ok(());
        }
        let mut kept = altered.kept().into_iter();
        let found = kept.find(|index| index.constraint.is_some() && index.name == name);
        if let Some(index) = found {
            let named = (index.id, index.name.as_str());
            let first = self.without_index(&altered.entry, named, cascade)?;
            first.into_iter().for_each(|step| altered.first(step));
            altered.drop_index(index.id);
            return Ok(());
        }
        if if_exists {
            return Ok(());
        }
        let table = &altered.draft.table.name;
        let message = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
        Err(Error::new(state::UNDEFINED_OBJECT, message).at(place(ident.span)))
    }

    fn alter_column(
        &mut self,
        altered: &mut Altered<'a>,
        ident: &'a ast::Ident,
        operation: &'a AlterColumnOperation,
    ) -> Result<()> {
        use AlterColumnOperation as O;
        let position = column_position(&altered.draft.table, ident)?;
        let at = place(ident.span);
        if let O::SetDataType {
            data_type, using, ..
        } = operation
        {
            return self.alter_type(altered, position, (data_type, using.as_ref()), at);
        }
        let id = altered.draft.table.columns[position].id;
        let primary = altered.primary();
        let is_in_key = primary.is_some_and(|key| key.columns.iter().any(|part| part.column == id));
        let column = &mut altered.draft.table.columns[position];
        match operation {
            O::SetNotNull => column.not_null = true,
            O::DropNotNull if is_in_key => {
                let message = format!("column \"{}\" is in a primary key", column.name);
                return Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at));
            }
            O::DropNotNull => column.not_null = false,
            O::SetDefault { .. } | O::DropDefault if column.identity.is_some() => {
                let (column, table) = (&column.name, &altered.draft.table.name);
                let message =
                    format!("column \"{column}\" of relation \"{table}\" is an identity column");
                return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
            }
            O::SetDefault { value } => {
                set_default(self.catalog, value, column)?;
            }
            O::DropDefault => {
                column.default = None;
                column.sequences.clear();
            }
            _ => return refuse("this action on a column", at),
        }
        Ok(())
    }

    fn alter_type(
        &mut self,
        altered: &mut Altered<'a>,
        position: usize,
        (syntax, using): (&ast::DataType, Option<&'a ast::Expr>),
        at: Option<Position>,
    ) -> Result<()> {
        let to = data_type::data_type(syntax, at)?;
        let column = &mut altered.draft.table.columns[position];
        if column.data_type == to && using.is_none() {
            return Ok(());
        }
        self.refuse_retyping(&altered.entry, column.id, &column.name, at)?;
        let value = match using {
            None => Bound::Typed(altered.values[position].clone()),
            Some(using) => self.expr(using, &mut Context::new(&altered.scope, Clause::Using))?,
        };
        let assigned = self.assign(value, &column.name, to, at);
        altered.values[position] =
            assigned.map_err(|error| uncastable(error, column, to, using.is_some()))?;
        column.data_type = to;
        if column.default.is_some() {
            default_of(self.catalog, column).map_err(|error| match error.sqlstate() {
                state::DATATYPE_MISMATCH => {
                    let (name, to) = (&column.name, coerce::plain(to));
                    let message = format!(
                        "default for column \"{name}\" cannot be cast automatically to type {to}"
                    );
                    Error::new(state::DATATYPE_MISMATCH, message).at(at)
                }
                _ => error,
            })?;
        }
        Ok(())
    }

    /// Compares what the table will be with what it is.
    fn finish_alter(&mut self, mut altered: Altered<'a>) -> Result<LogicalStatement> {
        if altered.draft.table.columns.is_empty() {
            return refuse("a table without columns", None);
        }
        if !altered.draft.numbered.is_empty() {
            return refuse("a new column with a sequence of its own", None);
        }
        if !altered.draft.foreign_keys.is_empty() {
            return refuse("ALTER TABLE .. ADD FOREIGN KEY", None);
        }
        let old_checks = altered.draft.table.checks.len();
        let mut after = self.added_indexes(&mut altered)?;
        after.append(&mut altered.after);
        let rewrites = altered.is_rewritten();
        let first = if rewrites { 0 } else { old_checks };
        let tests = Tests {
            not_null: altered.not_null_to_test(),
            checks: self.checks_to_test(&altered, first)?,
        };
        if !rewrites && altered.draft.table == altered.entry.def {
            let steps = altered.before.into_iter().chain(after).collect();
            return Ok(LogicalStatement::Done(Statement::Structure(steps)));
        }
        let has_tests = !tests.not_null.is_empty() || !tests.checks.is_empty();
        let rows = match (rewrites, has_tests) {
            (true, _) => AlteredRows::Rewritten(unplanned(), altered.kept()),
            (false, true) => AlteredRows::Tested(unplanned()),
            (false, false) => AlteredRows::Left,
        };
        let query = altered.query(self);
        let alter = AlterTable {
            before: altered.before,
            def: altered.draft.table,
            rows,
            tests,
            after,
        };
        Ok(LogicalStatement::AlterTable(Box::new(alter), query))
    }

    /// The indexes of constraints that come, named.
    fn added_indexes(&mut self, altered: &mut Altered<'a>) -> Result<Vec<Step>> {
        if altered.draft.primary.is_some() && altered.primary().is_some() {
            let table = &altered.entry.def.name;
            let message = format!("multiple primary keys for table \"{table}\" are not allowed");
            return Err(Error::new(state::INVALID_TABLE_DEFINITION, message));
        }
        let mut names = Names::new(self.catalog, &altered.draft.table);
        let gone = altered.entry.indexes.iter();
        for index in gone.filter(|index| altered.dropped.contains(&index.def.id)) {
            names.release(&index.def.name);
        }
        let mut kept = altered.kept();
        kept.retain(|index| index.constraint.is_some());
        let taken: Vec<&str> = kept.iter().map(|index| index.name.as_str()).collect();
        let added = self.complete(&mut altered.draft, &mut names, &taken)?;
        let table = altered.entry.def.id;
        let steps = added
            .into_iter()
            .map(|index| Step::CreateIndex(IndexDef { table, ..index }));
        Ok(steps.collect())
    }

    /// The checks from number `first` on, over the columns of the altered table.
    fn checks_to_test(
        &mut self,
        altered: &Altered<'a>,
        first: usize,
    ) -> Result<Vec<(String, Expr)>> {
        let mut table = altered.draft.table.clone();
        table.checks.drain(..first);
        self.checks(&table, None)
    }
}

impl Altered<'_> {
    /// The indexes that do not go.
    fn kept(&self) -> Vec<IndexDef> {
        let indexes = self.entry.indexes.iter().map(|index| &index.def);
        let kept = indexes.filter(|index| !self.dropped.contains(&index.id));
        kept.cloned().collect()
    }

    /// The primary key's, if it does not.
    fn primary(&self) -> Option<IndexDef> {
        let is_primary = |index: &IndexDef| index.constraint == Some(Constraint::PrimaryKey);
        self.kept().into_iter().find(is_primary)
    }

    /// Has something go before the table is another.
    fn first(&mut self, step: Step) {
        if let Step::DropForeignKey(table, name) = &step
            && *table == self.entry.def.id
        {
            self.draft
                .table
                .foreign_keys
                .retain(|key| key.name != *name);
        }
        if !self.before.contains(&step) {
            self.before.push(step);
        }
    }

    fn drop_index(&mut self, id: IndexId) {
        if !self.dropped.contains(&id) {
            self.dropped.push(id);
            self.first(Step::DropIndex(id));
        }
    }

    /// The position in the table as it is of a column whose value stays.
    fn kept_from(&self, position: usize) -> Option<usize> {
        let ExprKind::Column(number) = self.values[position].kind else {
            return None;
        };
        self.scan.numbers().position(|found| found == number)
    }

    /// Whether rows have another layout, or other values.
    fn is_rewritten(&self) -> bool {
        let table = &self.draft.table;
        let mut columns = table.columns.iter().enumerate();
        let is_computed = columns.any(|(position, column)| {
            let from = self.kept_from(position);
            from.is_none_or(|from| self.entry.def.columns[from].id != column.id)
        });
        is_computed || !table.has_layout_of(&self.entry.def)
    }

    /// The columns, by position, that may be NULL by now and must not.
    fn not_null_to_test(&self) -> Vec<usize> {
        let is_known = |position: usize| {
            let from = self.kept_from(position);
            from.is_some_and(|from| self.entry.def.columns[from].not_null)
        };
        let columns = self.draft.table.columns.iter().enumerate();
        let columns = columns.filter(|(at, column)| column.not_null && !is_known(*at));
        columns.map(|(position, _)| position).collect()
    }

    /// All columns of the altered table.
    fn query(&self, binder: &mut Binder<'_>) -> Query {
        let columns = self.draft.table.columns.iter().zip(&self.values);
        let exprs = columns.map(|(column, value)| {
            let number = binder.columns.add(&column.name, column.data_type);
            (column.name.clone(), number, value.clone())
        });
        let exprs: Vec<_> = exprs.collect();
        let output = exprs
            .iter()
            .map(|(name, number, _)| (name.clone(), *number));
        Query {
            output: output.collect(),
            plan: Logical::Project {
                input: Box::new(Logical::Scan(self.scan.clone())),
                exprs: exprs
                    .into_iter()
                    .map(|(_, number, value)| (number, value))
                    .collect(),
            },
        }
    }
}

/// The complaint about a column that is there already.
pub(super) fn column_exists(column: &str, table: &str) -> Error {
    let message = format!("column \"{column}\" of relation \"{table}\" already exists");
    Error::new(state::DUPLICATE_COLUMN, message)
}

/// What PostgreSQL says where a value cannot become one of the new type.
fn uncastable(error: Error, column: &ColumnDef, to: DataType, using: bool) -> Error {
    if error.sqlstate() != state::DATATYPE_MISMATCH {
        return error;
    }
    let (name, plain) = (&column.name, coerce::plain(to));
    let (what, hint) = match using {
        true => (
            "result of USING clause for column",
            "You might need to add an explicit cast.".to_owned(),
        ),
        false => (
            "column",
            format!("You might need to specify \"USING {name}::{to}\"."),
        ),
    };
    let message = format!("{what} \"{name}\" cannot be cast automatically to type {plain}");
    Error::new(state::DATATYPE_MISMATCH, message)
        .with_hint(hint)
        .at(error.position())
}

/// Stands where the optimizer will put the plan of the rows.
fn unplanned() -> Box<PhysicalPlan> {
    Box::new(PhysicalPlan {
        node: Node::Values(Vec::new()),
        schema: Vec::new(),
    })
}
