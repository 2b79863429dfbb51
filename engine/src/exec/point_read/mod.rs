//! A SELECT that finds few rows by an index and shows columns: the shortest way from parameters to values.
//!
//! ```text
//!   SELECT name, v FROM t WHERE id = $1                 a key            parameter 0
//!   SELECT name, v FROM t WHERE id IN (1, 2, $1)        keys of a list   1, 2, parameter 0
//!   SELECT name, v FROM t WHERE id = ANY ($1)           likewise         the elements of parameter 0
//!   SELECT v FROM t WHERE id >= $1 LIMIT 10             a range          from parameter 0, ten rows
//!   SELECT count(*) FROM t WHERE id < $1                likewise         rows are counted, no column shown
//! ```
//!
//! Such a query has nothing to compute: its keys consist of parameters and constants, no other condition is left, and
//! columns are shown as they are. It runs without a transaction, and no expression is evaluated while a row is looked at.
//! Where it turns out to have many rows, the query's plan is run instead.

mod key_part;
mod recognize;

use key_part::KeyPart;
use remora_storage::transaction::{Between, KeyRead, ROWS_MAX, ReadKey};
use remora_storage::{DataType, Value, ValueRef};
use smallvec::SmallVec;
use std::ops::Bound;

/// Such a query.
#[derive(Debug)]
pub(crate) struct PointRead {
    read: KeyRead,
    keys: Keys,
    /// Whether only their number is wanted: a single row, a BIGINT.
    counts: bool,
    /// More that is done with its row.
    also: Also,
    /// The types of the statement's parameters.
    parameters: Box<[DataType]>,
}

/// Which keys are read.
#[derive(Debug)]
enum Keys {
    /// One, a value a column.
    One(Box<[KeyPart]>),
    /// Those of a list, of one column each.
    Each(Box<[KeyPart]>),
    /// The elements of an array.
    Elements(KeyPart),
    /// Those between two ends.
    Between {
        low: Bound<Box<[KeyPart]>>,
        high: Bound<Box<[KeyPart]>>,
        reverse: bool,
        /// How many rows are wanted, a BIGINT.
        limit: Option<KeyPart>,
    },
}

/// Values of a key, where they are gathered.
type KeyValues<'v> = SmallVec<[ValueRef<'v>; 4]>;

/// Something that few reads by key do with their row, which is of a unique index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Also {
    /// Nothing.
    Nothing,
    /// It is locked: `FOR UPDATE`.
    Lock,
    /// It is there only if it has not expired ([`PointRead::is_alive`]): the value that is read at this place, behind the
    /// columns that are shown, says when it does.
    Expiry(usize),
    /// Both.
    LockAndExpiry(usize),
}

impl PointRead {
    /// More that it does with its row.
    #[inline]
    pub(crate) fn also(&self) -> Also {
        self.also
    }

    /// Whether the row that was read, with its moment at a place, is there at a time.
    #[inline]
    pub(crate) fn is_alive(rows: &[Value], moment: usize, now: i64) -> bool {
        !matches!(rows.get(moment), Some(Value::TimestampTz(moment)) if *moment <= now)
    }

    /// The key that these parameters are, where it is one integer.
    #[inline]
    fn int_key(&self, parameters: &[Value]) -> Option<i64> {
        let Keys::One(key) = &self.keys else {
            return None;
        };
        if !self.read.is_by_int() {
            return None;
        }
        match (&**key, &*self.parameters, parameters) {
            ([KeyPart::Parameter(0)], [DataType::BigInt], [Value::BigInt(key)]) => Some(*key),
            (
                [KeyPart::Parameter(0) | KeyPart::Widened(0)],
                [DataType::BigInt | DataType::Integer],
                [Value::Integer(key)],
            ) => Some(i64::from(*key)),
            _ => None,
        }
    }

    /// Whether the parameters are of the types that the statement has found for them.
    fn takes(&self, parameters: &[Value]) -> bool {
        let mut types = self.parameters.iter().zip(parameters);
        self.parameters.len() == parameters.len()
            && types.all(|(data_type, value)| value.is_of(*data_type))
    }

    /// Leaves the rows in `rows`, one after another; returns how many there are. `None` where they are too many, where the
    /// parameters do not fit, and where `show`, which reads in some state, does not.
    #[inline(always)]
    pub(crate) fn run(
        &self,
        parameters: &[Value],
        rows: &mut Vec<Value>,
        show: impl FnOnce(&KeyRead, &ReadKey<'_>, &mut Vec<Value>) -> Option<usize>,
    ) -> Option<usize> {
        if let Some(key) = self.int_key(parameters) {
            return show(&self.read, &ReadKey::Int(key), rows);
        }
        if !self.takes(parameters) {
            return None;
        }
        let found = self.find(parameters, rows, show)?;
        if !self.counts {
            return Some(found);
        }
        rows.resize(1, Value::Null);
        rows[0] = Value::BigInt(found as i64);
        Some(1)
    }

    #[inline]
    fn find(
        &self,
        parameters: &[Value],
        rows: &mut Vec<Value>,
        show: impl FnOnce(&KeyRead, &ReadKey<'_>, &mut Vec<Value>) -> Option<usize>,
    ) -> Option<usize> {
        match &self.keys {
            // Most keys: no list to be kept.
            Keys::One(parts) if let [part] = &**parts => show(
                &self.read,
                &ReadKey::Values(&[part.value(parameters)]),
                rows,
            ),
            Keys::One(parts) => show(
                &self.read,
                &ReadKey::Values(&values(parts, parameters)),
                rows,
            ),
            Keys::Each(parts) => show(&self.read, &ReadKey::Each(&values(parts, parameters)), rows),
            Keys::Elements(array) => {
                let array = array.value(parameters).as_array();
                let keys = array.iter().flat_map(|array| array.iter());
                // More than that are too many: the read says so.
                let keys = keys.take(ROWS_MAX + 1);
                show(
                    &self.read,
                    &ReadKey::Each(&keys.collect::<KeyValues<'_>>()),
                    rows,
                )
            }
            Keys::Between {
                low,
                high,
                reverse,
                limit,
            } => {
                if is_null_end(low, parameters) || is_null_end(high, parameters) {
                    return None;
                }
                let low = low.as_ref().map(|parts| values(parts, parameters));
                let high = high.as_ref().map(|parts| values(parts, parameters));
                let limit = match limit.as_ref().map(|limit| limit.value(parameters)) {
                    None | Some(ValueRef::Null) => None,
                    Some(ValueRef::BigInt(limit)) => Some(usize::try_from(limit).ok()?),
                    Some(_) => return None,
                };
                let between = Between {
                    low: low.as_ref().map(|values| &**values),
                    high: high.as_ref().map(|values| &**values),
                    reverse: *reverse,
                    limit,
                };
                show(&self.read, &ReadKey::Between(between), rows)
            }
        }
    }
}

/// Whether an end is a comparison with NULL, which nothing passes.
fn is_null_end(end: &Bound<Box<[KeyPart]>>, parameters: &[Value]) -> bool {
    let (Bound::Included(parts) | Bound::Excluded(parts)) = end else {
        return false;
    };
    let is_null = |part: &KeyPart| match part {
        KeyPart::Nulls => false,
        part => part.value(parameters).is_null(),
    };
    parts.iter().any(is_null)
}

fn values<'v>(parts: &'v [KeyPart], parameters: &'v [Value]) -> KeyValues<'v> {
    parts.iter().map(|part| part.value(parameters)).collect()
}
