//! Keys: which of an index are asked for, by what is known of a scan's rows.
//!
//! 1. Points: every key column has an equality, or one of them a list, or the only one is an element of an array (the
//!    only ways for a hash index).
//! 2. A prefix: equalities on the first key columns, then a text of which the beginning is known.
//! 3. A range: equalities on the first key columns, then bounds of the next one, or of the next ones together, or its
//!    NULLs.
//!
//! NULLs stand beyond the open end of a range: where the column may be NULL and the filter lets no NULL pass, the
//! range ends before them. Bounds of CHAR stay in the filter as well: its trailing blanks count in a key but not in a
//! comparison.

use super::condition;
use super::fact::{Fact, fact};
use super::row::{RowBound, row_bound};
use crate::plan::logical::Scan;
use crate::plan::physical::{IndexKeys, KeyEnd};
use crate::plan::{Expr, implies};
use remora_storage::catalog::{IndexColumn, IndexEntry, IndexKind};
use remora_storage::{ColumnId, DataType};
use std::ops::Bound;
use std::sync::Arc;

/// Keys that one IN list may ask for, or several multiplied.
const POINTS_MAX: usize = 10_000;

/// A way to use an index, and how good it is.
pub(super) struct Choice {
    pub(super) index: Arc<IndexEntry>,
    pub(super) keys: IndexKeys,
    /// Parts of the filter that the keys express.
    pub(super) used: Vec<usize>,
    pub(super) score: u32,
}

impl Choice {
    /// Whether the keys lie close to each other: an equality, the beginning of a text, or both ends.
    pub(super) fn is_narrow(&self) -> bool {
        self.score >= 2 * BOUND
    }

    /// Whether it asks for one value of a column, or for a list of them.
    pub(super) fn is_by_equality(&self) -> bool {
        self.score >= EQUALITY
    }
}

/// What a bound of a range is worth, and what an equality.
const BOUND: u32 = 40;
const EQUALITY: u32 = 100;

/// What is known of the rows of a scan.
pub(super) struct Known<'s> {
    scan: &'s Scan,
    /// By the parts of the filter, and then by conditions of partial indexes.
    facts: Vec<Option<(ColumnId, Fact)>>,
    rows: Vec<(usize, RowBound)>,
}

impl<'s> Known<'s> {
    pub(super) fn of(scan: &'s Scan) -> Self {
        let parts = || scan.filter.iter().enumerate();
        let mut facts: Vec<_> = parts().map(|(_, part)| fact(part, scan)).collect();
        if !scan.computed.is_empty() {
            facts.extend(conditions(scan).map(Some));
        }
        let rows = parts().filter_map(|(at, part)| Some((at, row_bound(part, scan)?)));
        Self {
            scan,
            facts,
            rows: rows.collect(),
        }
    }

    /// Ways to read fewer rows.
    pub(super) fn choices(&self) -> impl Iterator<Item = Choice> {
        self.ways().filter(|choice| choice.score > 0)
    }

    /// Ways to use each index.
    pub(super) fn ways(&self) -> impl Iterator<Item = Choice> {
        let indexes = self.scan.table.indexes.iter();
        let points = |index| self.points(index).or_else(|| self.elements(index));
        indexes.filter_map(move |index| points(index).or_else(|| self.range(index)))
    }

    /// Every key column has an equality or a list.
    fn points(&self, index: &Arc<IndexEntry>) -> Option<Choice> {
        let mut used = Vec::new();
        let mut keys: Vec<Vec<Expr>> = vec![Vec::new()];
        for column in &index.def.columns {
            let (position, values) = self.equality(column.column)?;
            if keys.len() * values.len() > POINTS_MAX {
                return None;
            }
            used.push(position);
            let with = |key: &Vec<Expr>, value: &Expr| {
                let mut key = key.clone();
                key.push(value.clone());
                key
            };
            keys = (keys.iter())
                .flat_map(|key| values.iter().map(move |value| with(key, value)))
                .collect();
        }
        let single = keys.len() == 1;
        let score = match (index.def.unique, single) {
            (true, true) => 1_000,
            (true, false) => 900,
            (false, true) => 800,
            (false, false) => 700,
        };
        Some(Choice {
            index: Arc::clone(index),
            keys: IndexKeys::Points(keys),
            used,
            score,
        })
    }

    /// The only column is an element of an array.
    fn elements(&self, index: &Arc<IndexEntry>) -> Option<Choice> {
        let [column] = index.def.columns.as_slice() else {
            return None;
        };
        let mut facts = self.facts.iter().enumerate();
        let (part, array) = facts.find_map(|(part, fact)| match fact {
            Some((id, Fact::ElementOf(array))) if *id == column.column => Some((part, array)),
            _ => None,
        })?;
        Some(Choice {
            index: Arc::clone(index),
            keys: IndexKeys::Elements(array.clone()),
            used: vec![part],
            score: if index.def.unique { 850 } else { 650 },
        })
    }

    /// Equalities on the first columns, then bounds.
    fn range(&self, index: &Arc<IndexEntry>) -> Option<Choice> {
        if index.def.kind != IndexKind::Ordered {
            return None;
        }
        let mut range = Range::default();
        let mut columns = index.def.columns.as_slice();
        while let [column, rest @ ..] = columns
            && let Some((position, [value])) = self.equality(column.column)
        {
            range.used.push(position);
            range.prefix.push(value.clone());
            columns = rest;
        }
        let mut score = EQUALITY * range.prefix.len() as u32;
        if index.def.partial && range.prefix.is_empty() {
            // The filter does not say that its rows are all there.
            return None;
        }
        let keys = match (self.null(columns), self.beginning(columns)) {
            (Some(part), _) => {
                range.used.push(part);
                score += 2 * BOUND;
                let end = || KeyEnd::Null(range.prefix.clone());
                IndexKeys::Range {
                    low: end(),
                    high: end(),
                }
            }
            (None, Some((part, text, is_all))) => {
                range.used.extend(is_all.then_some(part));
                range.prefix.push(text);
                score += 2 * BOUND;
                IndexKeys::Prefix(range.prefix)
            }
            (None, None) => {
                self.bound(columns, &mut range);
                let ends = [&range.low, &range.high];
                score += BOUND * ends.iter().filter(|end| end.is_some()).count() as u32;
                let (low, high) = range.ends(columns.first());
                IndexKeys::Range { low, high }
            }
        };
        Some(Choice {
            index: Arc::clone(index),
            keys,
            used: range.used,
            score,
        })
    }

    /// The part that says that the first of the columns is NULL.
    fn null(&self, columns: &[IndexColumn]) -> Option<usize> {
        let column = columns.first()?.column;
        let is_null = |(id, fact): &(ColumnId, Fact)| *id == column && matches!(fact, Fact::Null);
        let mut facts = self.facts.iter();
        facts.position(|fact| fact.as_ref().is_some_and(is_null))
    }

    /// The text that the first of the columns begins with, and whether that is all that the part says.
    fn beginning(&self, columns: &[IndexColumn]) -> Option<(usize, Expr, bool)> {
        let column = columns.first()?.column;
        let mut facts = self.facts.iter().enumerate();
        facts.find_map(|(position, fact)| match fact {
            Some((id, Fact::Begins { text, is_all })) if *id == column => {
                Some((position, text.clone(), *is_all))
            }
            _ => None,
        })
    }

    /// The bounds of the columns that come next.
    fn bound(&self, columns: &[IndexColumn], range: &mut Range) {
        let Some(column) = columns.first() else {
            return;
        };
        for (position, fact) in self.facts.iter().enumerate() {
            let Some((id, fact)) = fact else { continue };
            if *id != column.column {
                continue;
            }
            let (bound, is_above) = match fact {
                Fact::Above(bound) => (bound, true),
                Fact::Below(bound) => (bound, false),
                Fact::NotNull => {
                    range.used.push(position);
                    range.leaves_nulls = true;
                    continue;
                }
                Fact::OneOf(_) | Fact::ElementOf(_) | Fact::Begins { .. } | Fact::Null => {
                    continue;
                }
            };
            let bound = bound.as_ref().map(|value| vec![value.clone()]);
            if range.set(bound, is_above != column.descending) && !self.is_char(*id) {
                range.used.push(position);
            }
            range.leaves_nulls = true;
        }
        for (position, row) in &self.rows {
            let Some((bound, common)) = row.along(columns) else {
                continue;
            };
            let is_exact = common == row.columns.len() && self.is_exact(row);
            if range.set(bound, row.is_above != column.descending) && is_exact {
                range.used.push(*position);
            }
            range.leaves_nulls = true;
        }
        range.leaves_nulls &= self.has_nulls(column.column);
    }

    /// Whether the keys on one side of a row's are just those of the rows that are on that side.
    fn is_exact(&self, row: &RowBound) -> bool {
        let (first, rest) = row.columns.split_first().expect("a row has columns");
        !self.is_char(*first)
            && rest
                .iter()
                .all(|id| !self.has_nulls(*id) && !self.is_char(*id))
    }

    pub(super) fn is_char(&self, column: ColumnId) -> bool {
        let def = &self.scan.table.def;
        let position = def.position(column);
        position.is_none_or(|at| matches!(def.columns[at].data_type, DataType::Char(_)))
    }

    /// Whether rows of the table may have NULL there.
    fn has_nulls(&self, column: ColumnId) -> bool {
        let def = &self.scan.table.def;
        (def.position(column)).is_none_or(|position| !def.columns[position].not_null)
    }

    /// Whether rows that pass may have NULL there.
    pub(super) fn may_be_null(&self, column: ColumnId) -> bool {
        let mut facts = self.facts.iter().flatten();
        let is_filled = |fact: &Fact| !matches!(fact, Fact::Null);
        self.has_nulls(column) && !facts.any(|(id, fact)| *id == column && is_filled(fact))
    }

    /// Whether all rows that pass have the same there.
    pub(super) fn is_constant(&self, column: ColumnId) -> bool {
        let mut facts = self.facts.iter().flatten();
        matches!(self.equality(column), Some((_, [_])))
            || facts.any(|(id, fact)| *id == column && matches!(fact, Fact::Null))
    }

    fn equality(&self, column: ColumnId) -> Option<(usize, &[Expr])> {
        let found = (self.facts.iter())
            .enumerate()
            .filter_map(|(position, fact)| match fact {
                Some((id, Fact::OneOf(values))) if *id == column => {
                    Some((position, values.as_slice()))
                }
                _ => None,
            });
        found.min_by_key(|(_, values)| values.len())
    }
}

/// Of partial indexes: that the conditions are true which the filter implies.
fn conditions(scan: &Scan) -> impl Iterator<Item = (ColumnId, Fact)> {
    let partial = scan.table.indexes.iter().filter(|index| index.def.partial);
    partial.filter_map(|index| {
        let column = index.def.columns.first()?.column;
        let condition = condition(scan, index)?;
        let is_true = Fact::OneOf(vec![Expr::boolean(true)]);
        implies(&scan.filter, condition).then_some((column, is_true))
    })
}

/// A range in the making.
#[derive(Default)]
struct Range {
    /// Values of the first key columns.
    prefix: Vec<Expr>,
    /// Values of those behind them, and whether keys that begin with these are within.
    low: Option<(Vec<Expr>, bool)>,
    high: Option<(Vec<Expr>, bool)>,
    /// Whether NULLs of the column behind the prefix are outside, and there may be some.
    leaves_nulls: bool,
    /// Parts of the filter that it expresses.
    used: Vec<usize>,
}

impl Range {
    /// Sets an end; says whether it had none.
    fn set(&mut self, bound: Bound<Vec<Expr>>, is_low: bool) -> bool {
        let end = if is_low {
            &mut self.low
        } else {
            &mut self.high
        };
        if end.is_some() {
            return false;
        }
        *end = match bound {
            Bound::Included(values) => Some((values, true)),
            Bound::Excluded(values) => Some((values, false)),
            Bound::Unbounded => None,
        };
        true
    }

    /// Its ends; `column` is the one behind the prefix.
    fn ends(&mut self, column: Option<&IndexColumn>) -> (KeyEnd, KeyEnd) {
        let nulls_first = column.is_some_and(|column| column.nulls_first);
        let (low, high) = (self.low.take(), self.high.take());
        (self.end(low, nulls_first), self.end(high, !nulls_first))
    }

    fn end(&self, values: Option<(Vec<Expr>, bool)>, has_nulls: bool) -> KeyEnd {
        let prefix = || self.prefix.clone();
        match values {
            Some((values, true)) => KeyEnd::Included([prefix(), values].concat()),
            Some((values, false)) => KeyEnd::Excluded([prefix(), values].concat()),
            None if self.leaves_nulls && has_nulls => KeyEnd::Nulls(prefix()),
            None if self.prefix.is_empty() => KeyEnd::Open,
            None => KeyEnd::Included(prefix()),
        }
    }
}
