//! What the statements of a trigger can name beside the database: the row that fires it, as it was and as it will
//! be (`OLD`, `NEW`), and the rows of the whole statement (transition tables).
//!
//! A column of `NEW` or `OLD` is a parameter: a body is planned once, and run with the values of one row after
//! the other. First come the columns of `NEW`, in the order of the table, then those of `OLD`. A transition table
//! is a part of the statement that was run before it (`plan::with`).

use super::query::{Output, Relation};
use super::{Binder, Bound, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::place;
use crate::plan::collation::Derivation;
use crate::plan::logical::Logical;
use crate::plan::trigger::{NEW_ROWS, OLD_ROWS};
use crate::plan::with::PartRows;
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::{SourceColumn, TriggerDef};
use remora_storage::{ColumnId, DataType, Value};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr};
use std::cell::RefCell;

/// What a trigger's texts can name.
#[derive(Debug)]
pub(crate) struct TriggerRows {
    /// Which rows there are.
    pub has_new: bool,
    pub has_old: bool,
    /// Names of the columns, and where each is in the table as it is now, with its type.
    columns: Vec<(String, usize, DataType)>,
    /// How many columns the table has.
    width: usize,
    /// What the rows of the statement are called.
    old_table: Option<String>,
    new_table: Option<String>,
    /// The collations of the columns of the table.
    collations: Vec<Derivation>,
    /// Which of the columns are named.
    used: RefCell<Vec<bool>>,
}

impl TriggerRows {
    /// For a trigger of a table or view that has these columns now.
    pub(crate) fn new(def: &TriggerDef, now: &[(ColumnId, DataType)]) -> Self {
        use remora_storage::catalog::TriggerEvent as E;
        let columns = def.columns.iter().filter_map(|column| {
            let position = now.iter().position(|(id, _)| *id == column.id)?;
            Some((column.name.clone(), position, now[position].1))
        });
        let columns: Vec<_> = columns.collect();
        let has = |one: E| {
            def.for_each_row && (def.events.contains(&one) || def.events.contains(&E::Update))
        };
        Self {
            has_new: has(E::Insert),
            has_old: has(E::Delete),
            used: RefCell::new(vec![false; columns.len()]),
            columns,
            collations: Vec::new(),
            width: now.len(),
            old_table: def.old_table.clone(),
            new_table: def.new_table.clone(),
        }
    }

    /// The same, where the columns have these collations.
    pub(crate) fn with_collations(mut self, collations: Vec<Derivation>) -> Self {
        self.collations = collations;
        self
    }

    fn collation(&self, position: usize) -> Derivation {
        let found = self.collations.get(position).copied();
        found.unwrap_or(Derivation::Default)
    }

    /// The types of the parameters: those of the new row, then those of the old one.
    pub(crate) fn parameters(&self, now: &[(ColumnId, DataType)]) -> Vec<Option<DataType>> {
        let types = now.iter().map(|(_, data_type)| Some(*data_type));
        types.clone().chain(types).collect()
    }

    /// Says of each column whether the texts name it.
    pub(crate) fn mark(&self, columns: &mut [SourceColumn]) {
        for (column, used) in columns.iter_mut().zip(self.used.borrow().iter()) {
            column.used |= used;
        }
    }

    /// Where a column of that name is, and its type.
    pub(crate) fn position(&self, name: &str) -> Option<(usize, DataType)> {
        let at = self.columns.iter().position(|(found, ..)| found == name)?;
        if let Some(used) = self.used.borrow_mut().get_mut(at) {
            *used = true;
        }
        let (_, position, data_type) = &self.columns[at];
        Some((*position, *data_type))
    }

    /// The value of a column of a row.
    fn value(&self, row: &str, column: &str) -> Option<Expr> {
        let (position, data_type) = self.position(column)?;
        let before = if row == "new" { 0 } else { self.width };
        Some(Expr::parameter(before + position, data_type))
    }

    /// How many parameters stand for one row.
    pub(crate) fn parameters_of_a_row(&self) -> usize {
        self.width
    }

    fn has_row(&self, row: &str) -> bool {
        row == "new" && self.has_new || row == "old" && self.has_old
    }
}

impl<'a> Binder<'a> {
    /// What `NEW.column` or `OLD.column` means in a trigger, if nothing nearer is called so.
    ///
    /// # Errors
    /// 42703; 42P01 where the trigger has no such row.
    pub(super) fn row_variable(
        &mut self,
        row: &ast::Ident,
        column: &ast::Ident,
        cx: &Context<'_>,
    ) -> Result<Option<Bound>> {
        let Some(rows) = self.trigger else {
            return Ok(None);
        };
        let (row_name, at) = (name::fold(row)?, place(row.span));
        if !matches!(row_name.as_str(), "new" | "old") || cx.scope.has_table(&row_name) {
            return Ok(None);
        }
        if self.names_around(&row_name) {
            return Ok(None);
        }
        if !rows.has_row(&row_name) {
            return Err(no_row(&row_name).at(at));
        }
        let column_name = name::fold(column)?;
        match rows.value(&row_name, &column_name) {
            Some(value) => {
                if let (ExprKind::Parameter(number), Some((position, _))) =
                    (&value.kind, rows.position(&column_name))
                {
                    let found = rows.collation(position);
                    self.columns.collations.set_parameter(*number, found);
                }
                Ok(Some(Bound::Typed(value)))
            }
            None => {
                let message = format!("record \"{row_name}\" has no field \"{column_name}\"");
                Err(Error::new(state::UNDEFINED_COLUMN, message).at(at))
            }
        }
    }

    /// A transition table.
    pub(super) fn transition_table(&mut self, table: &str) -> Option<Relation> {
        let rows = self.trigger?;
        let called = |name: &Option<String>| name.as_deref() == Some(table);
        let id = match (called(&rows.old_table), called(&rows.new_table)) {
            (true, _) => OLD_ROWS,
            (_, true) => NEW_ROWS,
            _ => return None,
        };
        let outputs = rows.columns.iter().map(|(name, _, data_type)| {
            Output::new(self.columns.add(name, *data_type), name.clone(), *data_type)
        });
        let outputs: Vec<Output> = outputs.collect();
        for (output, (_, position, _)) in outputs.iter().zip(&rows.columns) {
            let found = rows.collation(*position);
            self.columns.collations.set(output.column, found);
        }
        let numbers = outputs.iter().zip(&rows.columns);
        let columns = numbers.map(|(output, (_, position, _))| (output.column, *position));
        Some(Relation::new(
            Logical::Part(PartRows {
                id,
                name: table.to_owned(),
                columns: columns.collect(),
                query: None,
            }),
            outputs,
        ))
    }

    /// `RAISE(ABORT, 'message')`, `RAISE(IGNORE)`: how a trigger refuses or skips.
    ///
    /// # Errors
    /// 42883 outside of triggers.
    pub(super) fn raise(
        &mut self,
        list: &'a [FunctionArg],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let action = match list.first() {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Identifier(word)))) => {
                name::fold_label(word)?
            }
            _ => String::new(),
        };
        let text =
            |text: &str| Bound::Typed(Expr::literal(Value::Text(text.to_owned()), DataType::Text));
        let message = match (action.as_str(), &list[1.min(list.len())..]) {
            ("ignore", []) => text(""),
            (
                "abort" | "fail" | "rollback",
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(message))],
            ) => self.expr(message, cx)?,
            _ => {
                let message = "RAISE takes IGNORE, or ABORT and a message";
                return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
            }
        };
        let action = text(if action == "ignore" {
            "ignore"
        } else {
            "abort"
        });
        self.call("raise", vec![action, message], at)
    }
}

fn no_row(row: &str) -> Error {
    let message = format!("missing FROM-clause entry for table \"{row}\"");
    let hint = match row {
        "new" => "NEW is known to triggers FOR EACH ROW of INSERT and UPDATE.",
        _ => "OLD is known to triggers FOR EACH ROW of UPDATE and DELETE.",
    };
    Error::new(state::UNDEFINED_TABLE, message).with_hint(hint)
}
