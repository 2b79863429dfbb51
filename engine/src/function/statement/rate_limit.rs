//! Rate limits in SQL: `rate_limit` and its siblings ([`crate::limit`]).
//!
//! A call is part of the statement's transaction ([`PendingLimits`](crate::limit::PendingLimits)), unless it is `autonomous`: then it commits by
//! itself, and a rollback leaves it.

use super::statement_scope::{StatementScope, scope};
use crate::activity::Interrupt;
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::record::{RECORD, encode, packed};
use crate::function::{EvalContext, GenericCall, Needs, Overload, Pattern, Volatility::Volatile};
use crate::limit::{Call, CallTime, Decision, Kind, Limit, decide_alone};
use remora_storage::transaction::Transaction;
use remora_storage::{DataType, Interval, Value, ValueRef};

const TEXT: Pattern = Pattern::Is(DataType::Text);
const AMOUNT: Pattern = Pattern::Is(DataType::Double);
const COUNT: Pattern = Pattern::Is(DataType::BigInt);
const SPAN: Pattern = Pattern::Is(DataType::Interval);
const FLAG: Pattern = Pattern::Is(DataType::Boolean);
const MOMENT: Pattern = Pattern::Is(DataType::TimestampTz);
const DECISION: Pattern = Pattern::Is(RECORD);

const FIELDS: &[(&str, DataType)] = &[
    ("allowed", DataType::Boolean),
    ("remaining", DataType::Double),
    ("retry_after", DataType::Interval),
];
/// Stands for a time that was not given.
pub(in crate::function) const NOT_GIVEN: &str = "-infinity";

/// The overloads of a limit: what comes behind the limit itself may be left out.
macro_rules! limit {
    ($name:literal, ($a:expr, $b:expr), $cost:expr, $doc:literal, $f:expr) => {
        [
            limit!($name, ($a, $b), $doc, $f),
            limit!($name, ($a, $b, $cost), $doc, $f),
            limit!($name, ($a, $b, $cost, FLAG), $doc, $f),
            limit!($name, ($a, $b, $cost, FLAG, MOMENT), $doc, $f),
        ]
    };
    ($name:literal, ($($more:expr),*), $doc:literal, $f:expr) => {
        function!(generic $name(TEXT, $($more),*) -> DECISION, $doc, $f)
            .fields(FIELDS)
            .volatility(Volatile)
            .needs(Needs::TAKES)
    };
}

static TOKEN: [Overload; 4] = limit!(
    "rate_limit",
    (AMOUNT, AMOUNT),
    AMOUNT,
    "Takes from a token bucket of a capacity, which so much a second comes back to.",
    |call| take(call, Kind::Token)
);
static LEAKY: [Overload; 4] = limit!(
    "rate_limit_leaky",
    (AMOUNT, AMOUNT),
    AMOUNT,
    "Fills a leaky bucket of a capacity, which so much a second leaks out of.",
    |call| take(call, Kind::Leaky)
);
static WINDOW: [Overload; 4] = limit!(
    "rate_limit_window",
    (COUNT, SPAN),
    COUNT,
    "Takes from a limit for a sliding window, of which the part before this window counts in proportion.",
    |call| take(call, Kind::Window)
);
static FIXED: [Overload; 4] = limit!(
    "rate_limit_fixed",
    (COUNT, SPAN),
    COUNT,
    "Takes from a limit for each window, of those that begin at multiples of their length.",
    |call| take(call, Kind::Fixed)
);
static LOG: [Overload; 4] = limit!(
    "rate_limit_log",
    (COUNT, SPAN),
    COUNT,
    "Takes from a limit for a sliding window, by a list of all that was taken in it.",
    |call| take(call, Kind::Log)
);

static PEEK: [Overload; 3] = [
    peek(&[TEXT]),
    peek(&[TEXT, TEXT]),
    peek(&[TEXT, TEXT, MOMENT]),
];
static RESET: [Overload; 2] = [reset(&[TEXT]), reset(&[TEXT, TEXT])];

const fn peek(arguments: &'static [Pattern]) -> Overload {
    let doc = "What a limit would answer to a call that costs one, as it was called last: nothing is taken.";
    Overload::generic("rate_limit_peek", arguments, DECISION, doc, look)
        .fields(FIELDS)
        .volatility(Volatile)
        .needs(Needs::LOOKS)
}

const fn reset(arguments: &'static [Pattern]) -> Overload {
    let doc = "Forgets what was taken from the limits of a key, of a kind or of all; whether anything was.";
    let flag = Pattern::Is(DataType::Boolean);
    Overload::generic("rate_limit_reset", arguments, flag, doc, forget)
        .volatility(Volatile)
        .needs(Needs::TAKES)
}

/// All overloads of this file.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] =
    &[&TOKEN, &LEAKY, &WINDOW, &FIXED, &LOG, &PEEK, &RESET];

impl StatementScope {
    /// Decides on a call, as part of the statement.
    ///
    /// # Errors
    /// 25006, 22023
    fn take(&self, call: Call<'_>, time: CallTime) -> Result<Decision> {
        self.refuse_to_change("rate_limit")?;
        let (_, view) = self.view()?;
        let mut limits = self.limits.lock();
        limits.take((&self.catalog, view), call, time)
    }

    /// Decides on a call, and commits that at once.
    ///
    /// # Errors
    /// As for [`decide_alone`]; 25006.
    fn take_alone(
        &self,
        call: Call<'_>,
        time: CallTime,
        context: &EvalContext,
    ) -> Result<Decision> {
        self.refuse_to_change("rate_limit")?;
        let (transaction, _) = self.view()?;
        let calm = Interrupt::default();
        let session = context.session.as_ref();
        let interrupt = session.map_or(&calm, |session| session.interrupt());
        let caller = (Some(*transaction), interrupt);
        decide_alone(&self.core, call, time.given, caller)
    }

    /// The answer of a limit to a call of cost one, if anything is used of it.
    ///
    /// # Errors
    /// Those of reading.
    fn peek(&self, key: &str, kind: Kind, at: i64) -> Result<Option<Decision>> {
        let (_, view) = self.view()?;
        let mut limits = self.limits.lock();
        let used = limits.used((&self.catalog, view), key, kind)?;
        used.map(|usage| usage.peek(at)).transpose()
    }

    /// Forgets what was taken from a key's limits; returns whether anything was.
    ///
    /// # Errors
    /// 25006, and those of reading.
    fn reset(&self, key: &str, kinds: &[Kind]) -> Result<bool> {
        self.refuse_to_change("rate_limit_reset")?;
        let (_, view) = self.view()?;
        let mut limits = self.limits.lock();
        let mut was_used = false;
        for kind in kinds {
            was_used |= limits.reset((&self.catalog, view), key, *kind)?;
        }
        Ok(was_used)
    }

    /// Writes what the statement has taken from limits; returns whether there are limits at all.
    ///
    /// # Errors
    /// 40001 where another transaction has taken from them meanwhile; 53200.
    pub(crate) fn write_limits(&self, tx: &mut Transaction) -> Result<bool> {
        self.limits.lock().write(tx)
    }
}

/// A call of a limit. Its result is NULL where the key or the limit is.
fn take(call: &GenericCall<'_>, kind: Kind) -> Result<Value> {
    let [ValueRef::Text(key), first, second, more @ ..] = call.values else {
        return Ok(Value::Null);
    };
    let limit = match (*first, *second) {
        (ValueRef::Double(capacity), ValueRef::Double(rate)) => {
            Limit::bucket(kind, capacity, rate)?
        }
        (ValueRef::BigInt(limit), ValueRef::Interval(window)) => {
            Limit::quota(kind, limit, length(window)?)?
        }
        _ => return Ok(Value::Null),
    };
    let cost = match more.first() {
        Some(ValueRef::Double(cost)) => *cost,
        Some(ValueRef::BigInt(cost)) => *cost as f64,
        _ => 1.0,
    };
    let is_autonomous = matches!(more.get(1), Some(ValueRef::Boolean(true)));
    let time = time(call, more.get(2))?;
    let scope = scope(call.context)?;
    let decision = match is_autonomous {
        true => scope.take_alone((key, &limit, cost), time, call.context)?,
        false => scope.take((key, &limit, cost), time)?,
    };
    shown(call, decision)
}

fn look(call: &GenericCall<'_>) -> Result<Value> {
    let [ValueRef::Text(key), more @ ..] = call.values else {
        return Ok(Value::Null);
    };
    let kind = match more.first() {
        Some(ValueRef::Text(name)) => kind(name)?,
        _ => Kind::Token,
    };
    let at = time(call, more.get(1))?.at();
    match scope(call.context)?.peek(key, kind, at)? {
        Some(decision) => shown(call, decision),
        None => Ok(Value::Null),
    }
}

fn forget(call: &GenericCall<'_>) -> Result<Value> {
    let [ValueRef::Text(key), more @ ..] = call.values else {
        return Ok(Value::Null);
    };
    let kinds = match more.first() {
        Some(ValueRef::Text(name)) => vec![kind(name)?],
        _ => Kind::ALL.to_vec(),
    };
    let was_used = scope(call.context)?.reset(key, &kinds)?;
    Ok(Value::Boolean(was_used))
}

/// The kind of a name.
///
/// # Errors
/// 22023
fn kind(name: &str) -> Result<Kind> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        sql_error!(
            INVALID_PARAMETER_VALUE,
            "there is no kind of limits \"{name}\""
        )
        .with_hint(format!("Kinds are {names}."))
    })
}

/// The length of a window, in microseconds; a day has 24 hours.
///
/// # Errors
/// 22023 for one that has months.
fn length(window: Interval) -> Result<i64> {
    const MICROS_A_DAY: i64 = 24 * 3600 * 1_000_000;
    if window.months != 0 {
        return Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "a window cannot have months or years, which are not all as long"
        )
        .with_hint("Give its length in days or less."));
    }
    Ok(window
        .micros
        .saturating_add(i64::from(window.days) * MICROS_A_DAY))
}

/// The time of a call.
///
/// # Errors
/// 22023 for one that never comes.
fn time(call: &GenericCall<'_>, given: Option<&ValueRef<'_>>) -> Result<CallTime> {
    let given = match given {
        Some(ValueRef::TimestampTz(i64::MAX)) => {
            let error = sql_error!(INVALID_PARAMETER_VALUE, "a call cannot be at infinity");
            return Err(error);
        }
        Some(ValueRef::TimestampTz(at)) if *at != i64::MIN => Some(*at),
        _ => None,
    };
    Ok(CallTime {
        now: call.context.clock.now(),
        given,
    })
}

/// A decision as a record.
fn shown(call: &GenericCall<'_>, decision: Decision) -> Result<Value> {
    let micros = i64::try_from(decision.retry_after.as_micros()).unwrap_or(i64::MAX);
    let wait = Interval {
        months: 0,
        days: 0,
        micros,
    };
    let fields = [
        (DataType::Boolean, ValueRef::Boolean(decision.allowed)),
        (DataType::Double, ValueRef::Double(decision.remaining)),
        (DataType::Interval, ValueRef::Interval(wait)),
    ];
    Ok(Value::Packed(packed(call.returns), encode(fields)?))
}
