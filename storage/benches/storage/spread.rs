//! Figures of several rounds: the median, with the least and the greatest.

use std::fmt;

/// One figure a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    /// Adds a round's figure.
    pub(crate) fn add(&mut self, figure: f64) {
        let at = self.0.partition_point(|other| *other < figure);
        self.0.insert(at, figure);
    }

    /// The figure in the middle; not a number without rounds.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(least), Some(greatest)) = (self.0.first(), self.0.last()) else {
            return f.write_str("-");
        };
        write!(f, "{:.2} ({least:.2} .. {greatest:.2})", self.median())
    }
}
