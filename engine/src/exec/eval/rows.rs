//! Rows: what an expression is evaluated over: a batch, or some rows of it.
//!
//! Narrowing costs nothing by itself: a column is filtered when an expression first reads it, once.

use super::super::batch::{Batch, internal};
use crate::error::Result;
use arrow_array::{ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use std::cell::RefCell;

/// Rows of a batch.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    count: usize,
    origin: Origin<'a>,
}

#[derive(Debug)]
enum Origin<'a> {
    All(&'a [ArrayRef]),
    Some {
        of: &'a Rows<'a>,
        keep: FilterPredicate,
        /// Columns filtered so far, by position. Expressions read few, so a list is searched.
        seen: RefCell<Vec<(usize, ArrayRef)>>,
    },
}

impl<'a> Rows<'a> {
    /// All rows of a batch.
    pub(crate) fn of(batch: &'a Batch) -> Self {
        Self {
            count: batch.rows,
            origin: Origin::All(&batch.columns),
        }
    }

    /// The rows at the set bits; `keep` has one bit a row.
    pub(crate) fn narrow(&'a self, keep: BooleanBuffer) -> Self {
        let keep = BooleanArray::new(keep, None);
        let keep = FilterBuilder::new(&keep).optimize().build();
        Self {
            count: keep.count(),
            origin: Origin::Some {
                of: self,
                keep,
                seen: RefCell::default(),
            },
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The column at `position`.
    pub(crate) fn column(&self, position: usize) -> Result<ArrayRef> {
        match &self.origin {
            Origin::All(columns) => Ok(columns[position].clone()),
            Origin::Some { of, keep, seen } => {
                let known = |(at, _): &&(usize, ArrayRef)| *at == position;
                if let Some((_, column)) = seen.borrow().iter().find(known) {
                    return Ok(column.clone());
                }
                let column = keep.filter(&of.column(position)?).map_err(internal)?;
                seen.borrow_mut().push((position, column.clone()));
                Ok(column)
            }
        }
    }
}
