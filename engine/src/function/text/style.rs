//! How a session shows and reads values: its time zone and the forms of dates, spans, floats and bytes.
//!
//! A style is what these settings come to, read once when one of them is changed. The plain one is that of a
//! session that has changed none: UTC, `ISO, MDY`, `postgres`, the fewest digits that read back, `hex`.
//! Statements have it in their context, and the binder in its path: what a quoted literal means is settled
//! there. What a table keeps as text (defaults, checks, what columns are computed from) is always read in the
//! plain style, so that it means the same to every session.

use super::zone::Zone;
use crate::function::calendar::{HOUR, MINUTE, SECOND};
use crate::function::innermost;
use remora_storage::value::PackedType;
use remora_storage::{DataType, Interval, Value};
use std::borrow::Cow;
use std::fmt::Write;

/// The settings that make up a style, by name.
pub(crate) const TIME_ZONE: &str = "timezone";
/// See [`TIME_ZONE`].
pub(crate) const DATE_STYLE: &str = "datestyle";
/// See [`TIME_ZONE`].
pub(crate) const INTERVAL_STYLE: &str = "intervalstyle";
/// See [`TIME_ZONE`].
pub(crate) const FLOAT_DIGITS: &str = "extra_float_digits";
/// See [`TIME_ZONE`].
pub(crate) const BYTEA_OUTPUT: &str = "bytea_output";

/// How dates are written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum DateForm {
    #[default]
    Iso,
    Sql,
    German,
    Postgres,
}

/// In which order year, month and day come where their form does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum FieldOrder {
    #[default]
    MonthDayYear,
    DayMonthYear,
    YearMonthDay,
}

/// How spans are written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum IntervalForm {
    #[default]
    Postgres,
    Verbose,
    Sql,
    Iso,
}

/// How values are shown and read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Style {
    pub(crate) zone: Zone,
    pub(crate) dates: DateForm,
    pub(crate) order: FieldOrder,
    pub(crate) intervals: IntervalForm,
    /// More than 0: the fewest digits that read back; else so many more than a float surely has.
    pub(crate) float_digits: i32,
    pub(crate) escapes_bytes: bool,
}

/// The style of a session that has changed nothing.
pub(crate) static PLAIN: Style = Style {
    zone: Zone::Fixed(0),
    dates: DateForm::Iso,
    order: FieldOrder::MonthDayYear,
    intervals: IntervalForm::Postgres,
    float_digits: 1,
    escapes_bytes: false,
};

impl Default for Style {
    fn default() -> Self {
        PLAIN.clone()
    }
}

impl Style {
    /// The style of settings with these values, as [`normal`] has made them.
    pub(crate) fn of<'s>(value: impl Fn(&str) -> &'s str) -> Self {
        let (dates, order) = date_style(value(DATE_STYLE), Default::default()).unwrap_or_default();
        Self {
            zone: Zone::of_session(value(TIME_ZONE)).map_or(Zone::Fixed(0), |(zone, _)| zone),
            dates,
            order,
            intervals: interval_form(value(INTERVAL_STYLE)).unwrap_or_default(),
            float_digits: value(FLOAT_DIGITS).parse().unwrap_or(1),
            escapes_bytes: value(BYTEA_OUTPUT) == "escape",
        }
    }

    /// Whether floats are shown with fewer digits than they have.
    pub fn rounds_floats(&self) -> bool {
        self.float_digits < 1
    }

    /// The same as JSON wants it: moments in the form of ISO 8601.
    pub(crate) fn of_json(&self) -> Cow<'_, Self> {
        match self.dates {
            DateForm::Iso => Cow::Borrowed(self),
            _ => Cow::Owned(Self {
                dates: DateForm::Iso,
                ..self.clone()
            }),
        }
    }
}

/// Whether a cast reads or writes text that depends on the style, or goes between a zone's clock and UTC.
pub(crate) fn asks_style(from: DataType, to: DataType) -> bool {
    let (from, to) = (innermost(from), innermost(to));
    let timetz = DataType::Packed(PackedType::TimeTz);
    let is_zoned = |of: DataType| of == DataType::TimestampTz;
    let has_forms = |of: DataType| {
        of.is_record()
            || matches!(
                of,
                DataType::Real
                    | DataType::Double
                    | DataType::Bytea
                    | DataType::Date
                    | DataType::Time
                    | DataType::Timestamp
                    | DataType::TimestampTz
                    | DataType::Interval
            )
    };
    is_zoned(from) != is_zoned(to)
        || to == timetz && from != timetz
        || from.is_text() && has_forms(to)
        || has_forms(from) && to.is_text()
}

/// A setting's value as it reads back; `None` where it is none. `now` is what it has been so far.
pub(crate) fn normal(name: &str, value: &str, now: &str) -> Option<String> {
    match name {
        TIME_ZONE => Zone::of_session(value).map(|(_, name)| name),
        DATE_STYLE => {
            let now = date_style(now, Default::default()).unwrap_or_default();
            let (form, order) = date_style(value, now)?;
            Some(format!("{}, {}", form.name(), order.name()))
        }
        INTERVAL_STYLE => interval_form(value).map(|_| value.to_ascii_lowercase()),
        FLOAT_DIGITS => {
            let digits: i32 = value.trim().parse().ok()?;
            (-15..=3).contains(&digits).then(|| digits.to_string())
        }
        _ => {
            let lower = value.to_ascii_lowercase();
            matches!(lower.as_str(), "hex" | "escape").then_some(lower)
        }
    }
}

impl DateForm {
    fn name(self) -> &'static str {
        match self {
            Self::Iso => "ISO",
            Self::Sql => "SQL",
            Self::German => "German",
            Self::Postgres => "Postgres",
        }
    }
}

impl FieldOrder {
    fn name(self) -> &'static str {
        match self {
            Self::MonthDayYear => "MDY",
            Self::DayMonthYear => "DMY",
            Self::YearMonthDay => "YMD",
        }
    }
}

/// Whether a style of dates is refused though each of its words is one.
pub(crate) fn is_conflict(words: &str) -> bool {
    let mut words = words.split(',');
    words.all(|word| date_style(word, Default::default()).is_some())
}

/// Words for a form and an order, each at most once; what is not said stays as it is.
fn date_style(words: &str, now: (DateForm, FieldOrder)) -> Option<(DateForm, FieldOrder)> {
    let (mut form, mut order) = (None, None);
    let mut order_by_form = None;
    for word in words.split(',') {
        let word = word.trim().trim_matches('"').to_ascii_uppercase();
        let said = match word.as_str() {
            "ISO" => form
                .replace(DateForm::Iso)
                .is_some_and(|one| one != DateForm::Iso),
            "SQL" => form
                .replace(DateForm::Sql)
                .is_some_and(|one| one != DateForm::Sql),
            "GERMAN" => {
                order_by_form = Some(FieldOrder::DayMonthYear);
                form.replace(DateForm::German)
                    .is_some_and(|one| one != DateForm::German)
            }
            word if word.starts_with("POSTGRES") => {
                let before = form.replace(DateForm::Postgres);
                before.is_some_and(|one| one != DateForm::Postgres)
            }
            word => {
                let meant = match word {
                    "YMD" => FieldOrder::YearMonthDay,
                    "DMY" => FieldOrder::DayMonthYear,
                    "MDY" | "US" => FieldOrder::MonthDayYear,
                    word if word.starts_with("EURO") => FieldOrder::DayMonthYear,
                    word if word.starts_with("NONEURO") => FieldOrder::MonthDayYear,
                    "DEFAULT" => {
                        form.get_or_insert_default();
                        *order.get_or_insert_default()
                    }
                    _ => return None,
                };
                order.replace(meant).is_some_and(|one| one != meant)
            }
        };
        if said {
            return None;
        }
    }
    Some((
        form.unwrap_or(now.0),
        order.or(order_by_form).unwrap_or(now.1),
    ))
}

fn interval_form(name: &str) -> Option<IntervalForm> {
    Some(match name.to_ascii_lowercase().as_str() {
        "postgres" => IntervalForm::Postgres,
        "postgres_verbose" => IntervalForm::Verbose,
        "sql_standard" => IntervalForm::Sql,
        "iso_8601" => IntervalForm::Iso,
        _ => return None,
    })
}

/// What a literal in `SET TIME ZONE INTERVAL '..'` says, as the setting's value.
pub(crate) fn zone_of_interval(value: &Value) -> Option<String> {
    match value {
        Value::Interval(Interval {
            months: 0,
            days: 0,
            micros,
        }) => Some(zone_of_micros(*micros)),
        _ => None,
    }
}

/// A zone that is always so far ahead, in POSIX's words: `<-08>+08`.
pub(super) fn zone_of_micros(ahead: i64) -> String {
    let mut digits = String::new();
    let distance = ahead.abs();
    let _ = write!(digits, "{:02}", distance / HOUR);
    let (minutes, seconds) = (distance % HOUR / MINUTE, distance % MINUTE / SECOND);
    if minutes != 0 || seconds != 0 {
        let _ = write!(digits, ":{minutes:02}");
    }
    if seconds != 0 {
        let _ = write!(digits, ":{seconds:02}");
    }
    let (east, west) = if ahead < 0 { ('-', '+') } else { ('+', '-') };
    format!("<{east}{digits}>{west}{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_date_style_leaves_the_other() {
        let after = |value, now| normal(DATE_STYLE, value, now);
        assert_eq!(after("SQL", "ISO, DMY").as_deref(), Some("SQL, DMY"));
        assert_eq!(after("european", "SQL, MDY").as_deref(), Some("SQL, DMY"));
        assert_eq!(after("German", "ISO, MDY").as_deref(), Some("German, DMY"));
        assert_eq!(
            after("mdy, german", "ISO, YMD").as_deref(),
            Some("German, MDY")
        );
        assert_eq!(after("ISO, SQL", "ISO, MDY"), None);
        assert_eq!(after("Roman", "ISO, MDY"), None);
    }

    #[test]
    fn a_fixed_zone_has_posix_s_name() {
        assert_eq!(zone_of_micros(-8 * HOUR), "<-08>+08");
        assert_eq!(zone_of_micros(5 * HOUR + 30 * MINUTE), "<+05:30>-05:30");
    }
}
