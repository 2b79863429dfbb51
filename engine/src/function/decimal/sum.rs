//! Sums of many numbers: on 256 bits, so that only the sum itself, or the mean, has to fit NUMERIC, and not what
//! is met on the way to it.

use super::{add, divide, divide_rounded, fit, fit_exactly, overflow, pow10};
use crate::error::Result;
use arrow_buffer::i256;
use remora_storage::Numeric;

/// A sum so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    mantissa: i256,
    scale: u8,
    /// What is not finite goes before all that is.
    special: Option<Numeric>,
    count: i64,
}

impl Sum {
    /// Adds a number that is the sum of so many.
    ///
    /// # Errors
    /// 22003.
    pub(crate) fn add(&mut self, value: Numeric, count: i64) -> Result<()> {
        self.count += count;
        if !value.is_finite() {
            self.special = Some(match self.special {
                Some(special) => add(special, value)?,
                None => value,
            });
            return Ok(());
        }
        self.add_finite(i256::from_i128(value.mantissa()), value.scale())
    }

    fn add_finite(&mut self, mut mantissa: i256, scale: u8) -> Result<()> {
        let widen = |mantissa: i256, by: u8| {
            let factor = i256::from_i128(pow10(by));
            mantissa.checked_mul(factor).ok_or_else(overflow)
        };
        if scale > self.scale {
            self.mantissa = widen(self.mantissa, scale - self.scale)?;
            self.scale = scale;
        } else if scale < self.scale {
            mantissa = widen(mantissa, self.scale - scale)?;
        }
        self.mantissa = self.mantissa.checked_add(mantissa).ok_or_else(overflow)?;
        Ok(())
    }

    /// Adds all that another sum is of.
    ///
    /// # Errors
    /// 22003.
    pub(crate) fn merge(&mut self, later: &Self) -> Result<()> {
        if let Some(special) = later.special {
            self.add(special, 0)?;
        }
        self.count += later.count;
        self.add_finite(later.mantissa, later.scale)
    }

    /// The sum; none of no numbers.
    ///
    /// # Errors
    /// 22003 where it has more digits than there are.
    pub(crate) fn value(&self) -> Result<Option<Numeric>> {
        match (self.count, self.special) {
            (0, _) => Ok(None),
            (_, Some(special)) => Ok(Some(special)),
            _ => fit_exactly(self.mantissa, self.scale.into()).map(Some),
        }
    }

    /// The mean; none of no numbers.
    ///
    /// # Errors
    /// 22003.
    pub(crate) fn mean(&self) -> Result<Option<Numeric>> {
        if self.count == 0 {
            return Ok(None);
        }
        let mean = match self.value() {
            Ok(Some(sum)) => divide(sum, Numeric::from(self.count))?,
            // Of a sum that large no digits are shown but those that it has.
            _ => {
                let count = i256::from_i128(self.count.into());
                fit(divide_rounded(self.mantissa, count), self.scale.into())?
            }
        };
        Ok(Some(mean))
    }
}
