//! `generate_series(start, stop [, step])` of integers, numbers and moments: from `start` by `step` as far as
//! `stop`, in the direction of `step`.

use super::super::EvalContext;
use super::super::text::Zone;
use super::super::{decimal, moment};
use super::{StartRows, TableFunction, TableRows};
use crate::error::{Error, Result, state};
use remora_storage::value::ColumnBuilder;
use remora_storage::value::NumericKind;
use remora_storage::{DataType, Interval, Numeric, Value, ValueRef};
use std::cmp::Ordering;
use std::fmt::Debug;

const DOC: &str = "Values from start to stop, a step apart";

const fn of(arguments: &'static [DataType], start: StartRows) -> TableFunction {
    TableFunction {
        name: "generate_series",
        arguments,
        returns: arguments[0],
        columns: &[],
        generic: None,
        strict: true,
        start,
        doc: DOC,
    }
}

const INTEGER: DataType = DataType::Integer;
const BIGINT: DataType = DataType::BigInt;
const NUMERIC: DataType = DataType::Numeric(None);
const TIMESTAMP: DataType = DataType::Timestamp;
const TIMESTAMPTZ: DataType = DataType::TimestampTz;
const INTERVAL: DataType = DataType::Interval;

pub(super) const FUNCTIONS: &[TableFunction] = &[
    of(&[INTEGER, INTEGER], start::<i32>),
    of(&[INTEGER, INTEGER, INTEGER], start::<i32>),
    of(&[BIGINT, BIGINT], start::<i64>),
    of(&[BIGINT, BIGINT, BIGINT], start::<i64>),
    of(&[NUMERIC, NUMERIC], start::<Numeric>),
    of(&[NUMERIC, NUMERIC, NUMERIC], start::<Numeric>),
    of(&[TIMESTAMP, TIMESTAMP, INTERVAL], start::<Local>),
    of(&[TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL], start::<Instant>),
];

/// A TIMESTAMP.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
struct Local(i64);

/// A TIMESTAMPTZ.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
struct Instant(i64);

/// What series are made of.
trait Element: Copy + PartialOrd + Debug + Send + 'static {
    /// What is added to it.
    type Step: Copy + Debug + Send;
    /// The step where none is given, if that may be.
    fn one() -> Option<Self::Step>;
    /// The value of an argument, if it is of the type.
    fn of(value: &Value) -> Option<Self>;
    /// The same of the step.
    fn step_of(value: &Value) -> Option<Self::Step>;
    /// Refuses what cannot be a bound or a step.
    fn check(_start: Self, _stop: Self, _step: Self::Step) -> Result<()> {
        Ok(())
    }
    /// Whether a step leads upwards, down, or nowhere.
    fn direction(step: Self::Step) -> Ordering;
    /// The element a step further, by the clock of the session's zone; `None` where the type ends.
    fn after(self, step: Self::Step, zone: &Zone) -> Result<Option<Self>>;
    /// As a value.
    fn value(self) -> ValueRef<'static>;
}

/// A series in progress.
#[derive(Debug)]
struct Series<T: Element> {
    /// What comes next; `None` at the end.
    next: Option<T>,
    stop: T,
    step: T::Step,
    upwards: bool,
}

fn start<T: Element>(arguments: &[Value], _: &EvalContext) -> Result<Box<dyn TableRows>> {
    let found = match arguments {
        [first, stop] => T::of(first).zip(T::of(stop)).zip(T::one()),
        [first, stop, step] => T::of(first).zip(T::of(stop)).zip(T::step_of(step)),
        _ => None,
    };
    let Some(((first, stop), step)) = found else {
        unreachable!("arguments are of the function's types and not NULL");
    };
    T::check(first, stop, step)?;
    let direction = T::direction(step);
    if direction == Ordering::Equal {
        return Err(invalid("step size cannot equal zero"));
    }
    Ok(Box::new(Series {
        next: Some(first),
        stop,
        step,
        upwards: direction == Ordering::Greater,
    }))
}

impl<T: Element> TableRows for Series<T> {
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        context: &EvalContext,
    ) -> Result<usize> {
        for given in 0..wanted {
            let Some(element) = self.next else {
                return Ok(given);
            };
            let is_past = match self.upwards {
                true => element > self.stop,
                false => element < self.stop,
            };
            if is_past {
                self.next = None;
                return Ok(given);
            }
            rows[0].push(element.value());
            // What a step does not move (infinity) is the last.
            let after = element.after(self.step, &context.style().zone)?;
            self.next = after.filter(|after| *after != element);
        }
        Ok(wanted)
    }
}

fn invalid(message: &str) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

impl Element for i32 {
    type Step = i32;
    fn one() -> Option<i32> {
        Some(1)
    }
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }
    fn step_of(value: &Value) -> Option<i32> {
        Self::of(value)
    }
    fn direction(step: i32) -> Ordering {
        step.cmp(&0)
    }
    fn after(self, step: i32, _: &Zone) -> Result<Option<Self>> {
        Ok(self.checked_add(step))
    }
    fn value(self) -> ValueRef<'static> {
        ValueRef::Integer(self)
    }
}

impl Element for i64 {
    type Step = i64;
    fn one() -> Option<i64> {
        Some(1)
    }
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::BigInt(value) => Some(*value),
            _ => None,
        }
    }
    fn step_of(value: &Value) -> Option<i64> {
        Self::of(value)
    }
    fn direction(step: i64) -> Ordering {
        step.cmp(&0)
    }
    fn after(self, step: i64, _: &Zone) -> Result<Option<Self>> {
        Ok(self.checked_add(step))
    }
    fn value(self) -> ValueRef<'static> {
        ValueRef::BigInt(self)
    }
}

impl Element for Numeric {
    type Step = Numeric;
    fn one() -> Option<Numeric> {
        Numeric::new(1, 0)
    }
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Numeric(value) => Some(*value),
            _ => None,
        }
    }
    fn step_of(value: &Value) -> Option<Numeric> {
        Self::of(value)
    }
    fn check(start: Self, stop: Self, step: Self) -> Result<()> {
        let bounds = [("start value", start), ("stop value", stop)];
        for (what, value) in bounds.into_iter().chain([("step size", step)]) {
            match value.kind() {
                NumericKind::Finite => {}
                NumericKind::NaN => return Err(invalid(&format!("{what} cannot be NaN"))),
                NumericKind::Infinity | NumericKind::NegativeInfinity => {
                    return Err(invalid(&format!("{what} cannot be infinity")));
                }
            }
        }
        Ok(())
    }
    fn direction(step: Numeric) -> Ordering {
        step.cmp(&Numeric::ZERO)
    }
    fn after(self, step: Numeric, _: &Zone) -> Result<Option<Self>> {
        decimal::add(self, step).map(Some)
    }
    fn value(self) -> ValueRef<'static> {
        ValueRef::Numeric(self)
    }
}

/// Elements that are moments differ in their type only.
macro_rules! moments {
    ($name:ident, $variant:ident, $add:expr) => {
        impl Element for $name {
            type Step = Interval;
            fn one() -> Option<Interval> {
                None
            }
            fn of(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(Self(*value)),
                    _ => None,
                }
            }
            fn step_of(value: &Value) -> Option<Interval> {
                match value {
                    Value::Interval(step) => Some(*step),
                    _ => None,
                }
            }
            fn direction(step: Interval) -> Ordering {
                step.cmp(&Interval::default())
            }
            fn after(self, step: Interval, zone: &Zone) -> Result<Option<Self>> {
                $add(self.0, step, zone).map(|moment| Some(Self(moment)))
            }
            fn value(self) -> ValueRef<'static> {
                ValueRef::$variant(self.0)
            }
        }
    };
}

moments!(Local, Timestamp, |at, step, _| moment::add_interval(
    at, step
));
moments!(Instant, TimestampTz, moment::add_zoned);
