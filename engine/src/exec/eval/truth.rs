//! Truth: three-valued truth of many rows, as two bit sets: where it is true, where it is false.
//!
//! ```text
//!           yes  no         AND: yes & yes, no | no
//!   true     1    0         OR:  yes | yes, no & no
//!   false    0    1         NOT: swap
//!   NULL     0    0
//! ```

use crate::function::Operand;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use remora_storage::Value;
use std::sync::Arc;

/// Truth of some rows. No row is both true and false.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// Where it is true.
    pub(crate) yes: BooleanBuffer,
    /// Where it is false.
    pub(crate) no: BooleanBuffer,
}

impl Truth {
    /// The same for all rows; `None` is NULL.
    pub(crate) fn constant(value: Option<bool>, rows: usize) -> Self {
        let bits = |set| match set {
            true => BooleanBuffer::new_set(rows),
            false => BooleanBuffer::new_unset(rows),
        };
        Self {
            yes: bits(value == Some(true)),
            no: bits(value == Some(false)),
        }
    }

    /// Of the rows of all, one after the other.
    pub(crate) fn joined(parts: &[Self]) -> Self {
        let rows = parts.iter().map(|part| part.yes.len()).sum();
        let join = |bits_of: fn(&Self) -> &BooleanBuffer| {
            let mut bits = BooleanBufferBuilder::new(rows);
            for part in parts {
                bits.append_buffer(bits_of(part));
            }
            bits.finish()
        };
        Self {
            yes: join(|part| &part.yes),
            no: join(|part| &part.no),
        }
    }

    /// Of a BOOLEAN operand.
    pub(crate) fn of(operand: &Operand, rows: usize) -> Self {
        match operand {
            Operand::Scalar(Value::Boolean(value)) => Self::constant(Some(*value), rows),
            Operand::Scalar(_) => Self::constant(None, rows),
            Operand::Array(array) => {
                let array = array.as_boolean();
                let (values, no) = (array.values(), !array.values());
                match array.nulls() {
                    None => Self {
                        yes: values.clone(),
                        no,
                    },
                    Some(valid) => Self {
                        yes: values & valid.inner(),
                        no: &no & valid.inner(),
                    },
                }
            }
        }
    }

    /// Of something that is never NULL.
    pub(crate) fn known(yes: BooleanBuffer) -> Self {
        let no = !&yes;
        Self { yes, no }
    }

    /// Both are true.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            yes: &self.yes & &other.yes,
            no: &self.no | &other.no,
        }
    }

    /// Either is true.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            yes: &self.yes | &other.yes,
            no: &self.no & &other.no,
        }
    }

    /// The opposite.
    pub(crate) fn not(self) -> Self {
        Self {
            yes: self.no,
            no: self.yes,
        }
    }

    /// Spreads the truth of narrowed rows back over all rows; the others get `elsewhere`.
    pub(crate) fn spread(&self, keep: &BooleanBuffer, elsewhere: bool) -> Self {
        Self {
            yes: spread(&self.yes, keep, elsewhere),
            no: spread(&self.no, keep, !elsewhere),
        }
    }

    /// As an array of BOOLEAN.
    pub(crate) fn into_array(self) -> ArrayRef {
        let valid = &self.yes | &self.no;
        let nulls = valid.has_false().then(|| NullBuffer::new(valid));
        Arc::new(BooleanArray::new(self.yes, nulls))
    }
}

/// Bits for the set positions of `keep`, in order, and `elsewhere` at the others.
pub(super) fn spread(bits: &BooleanBuffer, keep: &BooleanBuffer, elsewhere: bool) -> BooleanBuffer {
    let mut all = BooleanBufferBuilder::new(keep.len());
    all.append_n(keep.len(), elsewhere);
    for (position, bit) in keep.set_indices().zip(bits) {
        all.set_bit(position, bit);
    }
    all.finish()
}
