//! Aggregates of pairs of floats: `corr`, `covar_pop`, `covar_samp` and the twelve of linear regression
//! but for what those have in common. The first argument is what depends (`y`), the second what it
//! depends on (`x`); a pair with a NULL does not count.
//!
//! As in `spread`, sums of squared distances are updated pair by pair (Youngs and Cramer) and merged
//! so, as PostgreSQL does.

use super::state::{Fold, group_states};
use super::{Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::arithmetic::float;
use crate::function::native::{self, SqlType};
use crate::function::{EvalContext, Work};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use remora_storage::{DataType, Value};

/// What is kept of some pairs.
#[derive(Clone, Copy, Default)]
struct Pairs {
    count: f64,
    x: Moment,
    y: Moment,
    /// The sum of the products of both distances from the means.
    products: f64,
}

/// Of one side of the pairs: the sum, and the sum of squared distances from the mean.
#[derive(Clone, Copy, Default)]
struct Moment {
    sum: f64,
    squares: f64,
}

impl Pairs {
    fn add(&mut self, y: f64, x: f64) -> Result<()> {
        let before = *self;
        self.count += 1.0;
        self.x.sum += x;
        self.y.sum += y;
        if self.count > 1.0 {
            let scale = 1.0 / (self.count * (self.count - 1.0));
            let (dx, dy) = (x * self.count - self.x.sum, y * self.count - self.y.sum);
            self.x.squares += dx * dx * scale;
            self.y.squares += dy * dy * scale;
            self.products += dx * dy * scale;
        } else {
            let spoilt = |value: f64| if value.is_finite() { 0.0 } else { f64::NAN };
            self.x.squares = spoilt(x);
            self.y.squares = spoilt(y);
            self.products = spoilt(x) + spoilt(y);
        }
        let finite_x = before.x.sum.is_finite() && x.is_finite();
        let finite_y = before.y.sum.is_finite() && y.is_finite();
        self.settle(finite_x, finite_y)
    }

    fn merge(&mut self, later: &Self) -> Result<()> {
        if later.count == 0.0 {
            return Ok(());
        }
        if self.count == 0.0 {
            *self = *later;
            return Ok(());
        }
        let count = self.count + later.count;
        let weight = self.count * later.count / count;
        let dx = self.x.sum / self.count - later.x.sum / later.count;
        let dy = self.y.sum / self.count - later.y.sum / later.count;
        let finite_x = self.x.sum.is_finite() && later.x.sum.is_finite();
        let finite_y = self.y.sum.is_finite() && later.y.sum.is_finite();
        self.x.squares += later.x.squares + dx * dx * weight;
        self.y.squares += later.y.squares + dy * dy * weight;
        self.products += later.products + dx * dy * weight;
        self.x.sum += later.x.sum;
        self.y.sum += later.y.sum;
        self.count = count;
        self.settle(finite_x, finite_y)
    }

    /// An infinity out of finite numbers is an overflow; out of others the distances are unknown.
    fn settle(&mut self, finite_x: bool, finite_y: bool) -> Result<()> {
        let overflows = |side: &Moment| side.sum.is_infinite() || side.squares.is_infinite();
        let both = finite_x && finite_y && self.products.is_infinite();
        if (finite_x && overflows(&self.x)) || (finite_y && overflows(&self.y)) || both {
            return Err(float::overflow());
        }
        for distance in [&mut self.x.squares, &mut self.y.squares, &mut self.products] {
            if distance.is_infinite() {
                *distance = f64::NAN;
            }
        }
        Ok(())
    }
}

/// What an aggregate makes of the pairs; `None` for NULL.
type Answer = fn(&Pairs) -> Option<f64>;

/// One aggregate; without an answer it counts.
struct OfPairs(Option<Answer>);

impl Fold for OfPairs {
    type State = Pairs;
    type Columns<'a> = [&'a [f64]; 2];

    fn returns(&self) -> DataType {
        match self.0 {
            Some(_) => DataType::Double,
            None => DataType::BigInt,
        }
    }

    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        _: &EvalContext,
    ) -> ([&'a [f64]; 2], Option<NullBuffer>) {
        let column = |at: usize| native::Double::column(arguments[at].as_ref());
        let nulls = NullBuffer::union(arguments[0].nulls(), arguments[1].nulls());
        ([column(0), column(1)], nulls)
    }

    fn step(&self, state: &mut Pairs, [y, x]: &[&[f64]; 2], row: usize) -> Result<()> {
        state.add(y[row], x[row])
    }

    fn merge(&self, state: &mut Pairs, later: &Pairs) -> Result<()> {
        state.merge(later)
    }

    fn value(&self, pairs: &Pairs, _: &Work<'_>) -> Result<Value> {
        Ok(match self.0 {
            None => Value::BigInt(pairs.count as i64),
            Some(answer) if pairs.count > 0.0 => answer(pairs).map_or(Value::Null, Value::Double),
            Some(_) => Value::Null,
        })
    }
}

fn r2(pairs: &Pairs) -> Option<f64> {
    let all = pairs.x.squares * pairs.y.squares;
    match (pairs.x.squares == 0.0, pairs.y.squares == 0.0) {
        (true, _) => None,
        (_, true) => Some(1.0),
        _ => Some(pairs.products * pairs.products / all),
    }
}

fn corr(pairs: &Pairs) -> Option<f64> {
    let (x, y) = (pairs.x.squares, pairs.y.squares);
    (x != 0.0 && y != 0.0).then(|| pairs.products / (x * y).sqrt())
}

fn slope(pairs: &Pairs) -> Option<f64> {
    (pairs.x.squares != 0.0).then(|| pairs.products / pairs.x.squares)
}

fn intercept(pairs: &Pairs) -> Option<f64> {
    slope(pairs)?;
    let risen = pairs.x.sum * pairs.products / pairs.x.squares;
    Some((pairs.y.sum - risen) / pairs.count)
}

macro_rules! table {
    ($($name:literal $answer:expr, $doc:literal;)*) => {
        &[
            Aggregate {
                name: "regr_count",
                arguments: &[DataType::Double, DataType::Double],
                returns: DataType::BigInt,
                accumulator: MakeAccumulator::Typed(|| group_states(OfPairs(None))),
                order: RowOrder::Any,
                doc: "How many pairs have no NULL.",
            },
            $(Aggregate {
                name: $name,
                arguments: &[DataType::Double, DataType::Double],
                returns: DataType::Double,
                accumulator: MakeAccumulator::Typed(|| group_states(OfPairs(Some($answer)))),
                order: RowOrder::Any,
                doc: $doc,
            }),*
        ]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table!(
    "corr" corr, "Correlation of the pairs.";
    "covar_pop" |pairs| Some(pairs.products / pairs.count), "Covariance of the population.";
    "covar_samp" |pairs| (pairs.count > 1.0).then(|| pairs.products / (pairs.count - 1.0)),
        "Covariance of the sample.";
    "regr_avgx" |pairs| Some(pairs.x.sum / pairs.count), "Mean of the second argument.";
    "regr_avgy" |pairs| Some(pairs.y.sum / pairs.count), "Mean of the first argument.";
    "regr_sxx" |pairs| Some(pairs.x.squares), "Squared distances of the second argument.";
    "regr_syy" |pairs| Some(pairs.y.squares), "Squared distances of the first argument.";
    "regr_sxy" |pairs| Some(pairs.products), "Products of both distances.";
    "regr_r2" r2, "How much of the first argument the second explains.";
    "regr_slope" slope, "Slope of the line closest to the pairs.";
    "regr_intercept" intercept, "Where the line closest to the pairs begins.";
);
