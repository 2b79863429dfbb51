//! The functions that only windows have; the aggregates can be called over windows, too.
//!
//! Of the first six the result depends on where the row stands in its partition; the others give what an
//! argument is at some other row: of the partition (`lag`, `lead`) or of the frame.

use super::ArgumentType;
use super::resolve::{base, no_such_function};
use crate::error::Result;
use remora_storage::DataType;

/// A function that only windows have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WindowFunction {
    /// The number of the row in its partition, from 1.
    RowNumber,
    /// The number of the first of its peers.
    Rank,
    /// The number of its group of peers.
    DenseRank,
    /// How many of the other rows are before its peers, from 0 to 1.
    PercentRank,
    /// How many of the rows are before it or its peers, from 0 to 1.
    CumeDist,
    /// Which of so many parts of the partition, as equal as can be, it is in.
    Ntile,
    /// An argument at the row so many rows before.
    Lag,
    /// An argument at the row so many rows behind.
    Lead,
    /// An argument at the first row of the frame.
    FirstValue,
    /// An argument at the last row of the frame.
    LastValue,
    /// An argument at the row of the frame with this number, from 1.
    NthValue,
}

impl WindowFunction {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::RowNumber,
        Self::Rank,
        Self::DenseRank,
        Self::PercentRank,
        Self::CumeDist,
        Self::Ntile,
        Self::Lag,
        Self::Lead,
        Self::FirstValue,
        Self::LastValue,
        Self::NthValue,
    ];

    /// The one of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.name() == name)
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RowNumber => "row_number",
            Self::Rank => "rank",
            Self::DenseRank => "dense_rank",
            Self::PercentRank => "percent_rank",
            Self::CumeDist => "cume_dist",
            Self::Ntile => "ntile",
            Self::Lag => "lag",
            Self::Lead => "lead",
            Self::FirstValue => "first_value",
            Self::LastValue => "last_value",
            Self::NthValue => "nth_value",
        }
    }

    /// One line for the manual.
    pub(crate) fn doc(self) -> &'static str {
        match self {
            Self::RowNumber => "The number of the row in its partition, from 1.",
            Self::Rank => "The number of the first of its peers.",
            Self::DenseRank => "The number of its group of peers.",
            Self::PercentRank => "How many of the other rows are before its peers, from 0 to 1.",
            Self::CumeDist => "How many of the rows are before it or its peers, from 0 to 1.",
            Self::Ntile => "Which of so many equal parts of the partition it is in.",
            Self::Lag => "The value so many rows before, or else the last argument.",
            Self::Lead => "The value so many rows behind, or else the last argument.",
            Self::FirstValue => "The value at the first row of the frame.",
            Self::LastValue => "The value at the last row of the frame.",
            Self::NthValue => "The value at the row of the frame with this number, from 1.",
        }
    }

    /// What it takes and gives, for the manual.
    pub(crate) fn types(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::RowNumber | Self::Rank | Self::DenseRank => (&[], "bigint"),
            Self::PercentRank | Self::CumeDist => (&[], "double precision"),
            Self::Ntile => (&["integer"], "integer"),
            Self::Lag | Self::Lead => (&["any", "integer", "any"], "any"),
            Self::FirstValue | Self::LastValue => (&["any"], "any"),
            Self::NthValue => (&["any", "integer"], "any"),
        }
    }

    /// Whether an aggregate has the name, too: that of a row that might be in an ordered set.
    pub(crate) fn is_hypothetical(self) -> bool {
        use WindowFunction as W;
        matches!(self, W::Rank | W::DenseRank | W::PercentRank | W::CumeDist)
    }

    /// The types that its arguments are given, and that of its result. `common` is the type that those
    /// arguments are brought to that may be of any.
    ///
    /// # Errors
    /// 42883 where there is no function of the name for such arguments.
    pub(crate) fn signature(
        self,
        arguments: &[ArgumentType],
        common: DataType,
    ) -> Result<(Vec<DataType>, DataType)> {
        use DataType::{BigInt, Double, Integer};
        let fits = match (self, arguments.len()) {
            (Self::RowNumber | Self::Rank | Self::DenseRank, 0) => Some((vec![], BigInt)),
            (Self::PercentRank | Self::CumeDist, 0) => Some((vec![], Double)),
            (Self::Ntile, 1) => Some((vec![Integer], Integer)),
            (Self::Lag | Self::Lead | Self::FirstValue | Self::LastValue, 1) => {
                Some((vec![common], common))
            }
            (Self::Lag | Self::Lead | Self::NthValue, 2) => Some((vec![common, Integer], common)),
            (Self::Lag | Self::Lead, 3) => Some((vec![common, Integer, common], common)),
            _ => None,
        };
        let number = match self {
            Self::Ntile => arguments.first(),
            _ => arguments.get(1),
        };
        let counts = number.copied().flatten().map(base);
        let counted = matches!(counts, None | Some(DataType::SmallInt | Integer));
        fits.filter(|_| counted)
            .ok_or_else(|| no_such_function(self.name(), arguments))
    }

    /// Which of its arguments may be of any type.
    pub(crate) fn is_of_any_type(self, position: usize) -> bool {
        self != Self::Ntile && position != 1
    }
}
