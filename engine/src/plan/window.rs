//! Windows: what a function is computed over that gives a value for each row of a set of rows.
//!
//! A window cuts rows into *partitions* and orders each. Of a partition, a row's *peers* are the rows that
//! are equal to it in that order, and its *frame* is the stretch of rows that a call is of:
//!
//! ```text
//!   sum(x) OVER (PARTITION BY p ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
//!
//!   p  k  x
//!   1  1  5      frame of this row: itself
//!   1  2  6      frame: the row above, itself
//!   1  2  7      the row above is its peer; its frame is in rows, so that makes no difference
//!   2  1  8      another partition
//! ```

use super::{Expr, SortKey};
use crate::function::aggregate::host::Callable;
use crate::function::window::WindowFunction;
use remora_storage::DataType;

/// The calls that share partitions and order.
#[derive(Clone, Debug)]
pub(crate) struct Window<Calls> {
    /// Rows that are equal in these are a partition. Plain columns.
    pub partition: Vec<Expr>,
    /// How a partition is ordered. Plain columns.
    pub order: Vec<SortKey>,
    /// What is computed.
    pub calls: Calls,
}

/// One function of a window.
#[derive(Clone, Debug)]
pub(crate) struct WindowCall {
    /// Which.
    pub function: Callee,
    /// On what; of exactly the function's types.
    pub arguments: Vec<Expr>,
    /// FILTER (WHERE ..), of an aggregate.
    pub filter: Option<Expr>,
    /// Over which rows of the partition.
    pub frame: Frame,
    /// The type of the result.
    pub data_type: DataType,
}

/// What is called.
#[derive(Clone, Debug)]
pub(crate) enum Callee {
    /// An aggregate, of the rows of the frame.
    Aggregate(Callable),
    /// A function that only windows have.
    Window(WindowFunction),
}

/// Which rows of its partition belong to a row.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// What its ends are counted in.
    pub units: Units,
    /// Where it begins; unbounded: where the partition does.
    pub start: FrameEnd,
    /// Where it ends; unbounded: where the partition does.
    pub end: FrameEnd,
    /// What is left out of it.
    pub exclude: Exclude,
}

/// What the ends of a frame are counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Units {
    /// Rows.
    Rows,
    /// Differences of the only column that is ordered by.
    Range,
    /// Groups of peers.
    Groups,
}

/// One end of a frame.
#[derive(Clone, Debug)]
pub(crate) enum FrameEnd {
    /// That of the partition.
    Unbounded,
    /// The current row, or its first or last peer.
    CurrentRow,
    /// So far from there.
    Offset(FrameOffset),
}

/// How far an end of a frame is from the current row.
#[derive(Clone, Debug)]
pub(crate) struct FrameOffset {
    /// Whether it lies behind the current row, not before it.
    pub following: bool,
    /// How far; without columns. A BIGINT of ROWS and GROUPS.
    pub amount: Expr,
    /// Of RANGE over dates and timestamps: the moment up to which the frame reaches.
    pub limit: Option<Expr>,
}

/// What is left out of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Exclude {
    /// Nothing.
    #[default]
    NoOthers,
    /// The current row.
    CurrentRow,
    /// The current row and its peers.
    Group,
    /// Its peers.
    Ties,
}

impl WindowCall {
    /// Its expressions over the input's columns, those of the frame included.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let limits = [&self.frame.start, &self.frame.end];
        (self.arguments.iter())
            .chain(&self.filter)
            .chain(limits.into_iter().filter_map(|end| match end {
                FrameEnd::Offset(offset) => offset.limit.as_ref(),
                _ => None,
            }))
    }

    /// Every expression of it, to be changed.
    pub(crate) fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let ends = [&mut self.frame.start, &mut self.frame.end];
        let of_frame = ends.into_iter().filter_map(|end| match end {
            FrameEnd::Offset(offset) => Some(offset),
            _ => None,
        });
        (self.arguments.iter_mut()).chain(&mut self.filter).chain(
            of_frame
                .flat_map(|offset| std::iter::once(&mut offset.amount).chain(&mut offset.limit)),
        )
    }
}

impl Frame {
    /// From the beginning of the partition to the last peer of the current row: where nothing is said.
    pub(crate) fn running() -> Self {
        Self {
            units: Units::Range,
            start: FrameEnd::Unbounded,
            end: FrameEnd::CurrentRow,
            exclude: Exclude::NoOthers,
        }
    }

    /// How far its ends are from the current row: each with the moment that is so far.
    pub(crate) fn offsets(&mut self) -> impl Iterator<Item = Vec<&mut Expr>> {
        let ends = [&mut self.start, &mut self.end];
        ends.into_iter().filter_map(|end| match end {
            FrameEnd::Offset(offset) => {
                let all = std::iter::once(&mut offset.amount).chain(&mut offset.limit);
                Some(all.collect())
            }
            FrameEnd::Unbounded | FrameEnd::CurrentRow => None,
        })
    }

    /// Whether two frames are written alike.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.units == other.units
            && self.exclude == other.exclude
            && self.start.same(&other.start)
            && self.end.same(&other.end)
    }
}

impl FrameEnd {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unbounded, Self::Unbounded) | (Self::CurrentRow, Self::CurrentRow) => true,
            (Self::Offset(one), Self::Offset(two)) => {
                one.following == two.following
                    && one.amount.is_stable()
                    && one.amount.same(&two.amount)
                    && match (&one.limit, &two.limit) {
                        (Some(one), Some(two)) => one.same(two),
                        (one, two) => one.is_none() && two.is_none(),
                    }
            }
            _ => false,
        }
    }
}

impl<Calls> Window<Calls> {
    /// The order that its rows must come in: a partition after the other, each in its own order.
    pub(crate) fn sort_keys(&self) -> Vec<SortKey> {
        let mut keys: Vec<SortKey> = Vec::with_capacity(self.partition.len() + self.order.len());
        let partition = self.partition.iter().map(|expr| SortKey {
            expr: expr.clone(),
            descending: false,
            nulls_first: false,
        });
        for key in partition.chain(self.order.iter().cloned()) {
            // What comes again decides nothing.
            if !keys.iter().any(|found| found.expr.same(&key.expr)) {
                keys.push(key);
            }
        }
        keys
    }
}
