//! RETURNING: a select list over the rows that a statement has changed.

use super::collation::of_def;
use super::scope::{Scope, ScopeColumn};
use super::{Binder, Clause, Context};
use crate::error::Result;
use crate::plan::Field;
use crate::plan::statement::Returning;
use remora_storage::catalog::TableEntry;
use sqlparser::ast::SelectItem;

impl<'a> Binder<'a> {
    /// What a change shows, if it shows anything.
    pub(super) fn returning(
        &mut self,
        items: Option<&'a Vec<SelectItem>>,
        scope: &Scope,
    ) -> Result<Option<Returning>> {
        let Some(items) = items else {
            return Ok(None);
        };
        let mut cx = Context::new(scope, Clause::Returning);
        let items = self.item_list(items, &mut cx)?;
        let (schema, exprs) = items
            .into_iter()
            .map(|(name, expr)| {
                let data_type = expr.data_type;
                (Field { name, data_type }, expr)
            })
            .unzip();
        Ok(Some(Returning { exprs, schema }))
    }

    /// Has the columns of a row have numbers: their positions, where nothing was numbered before.
    pub(super) fn numbered_row(&mut self, entry: &TableEntry) {
        for (position, column) in entry.def.columns.iter().enumerate() {
            let number = self.columns.add(&column.name, column.data_type);
            debug_assert_eq!(number, position, "the table's columns are numbered first");
        }
        self.collate_positions(&entry.def.columns);
    }

    /// New columns for those of a table, under a name. Those that a statement makes first are numbered by
    /// position.
    pub(super) fn row_scope(
        &mut self,
        entry: &TableEntry,
        shown: &str,
        hides: Option<String>,
    ) -> Scope {
        let columns = entry.def.columns.iter().map(|column| ScopeColumn {
            table: (!column.is_hidden()).then(|| shown.to_owned()),
            name: column.name.clone(),
            column: self.columns.add(&column.name, column.data_type),
            data_type: column.data_type,
            bare: !column.is_hidden(),
        });
        let columns: Vec<ScopeColumn> = columns.collect();
        for (named, column) in columns.iter().zip(&entry.def.columns) {
            self.columns.collations.set(named.column, of_def(column));
        }
        let numbers: Vec<usize> = columns.iter().map(|named| named.column).collect();
        Scope::of(shown.to_owned(), hides, columns)
            .leaving_out(numbers.into_iter().zip(&entry.def.columns))
    }
}
