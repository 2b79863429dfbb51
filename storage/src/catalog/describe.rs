//! Keys as text, for error messages. Values are written as PostgreSQL writes them.

use super::definition::{ColumnDef, IndexDef, TableDef};
use crate::block::RowRef;
use crate::value::{Numeric, NumericKind, PackedType, RangeBound, SqlRange, ValueRef, enum_label};
use std::borrow::Cow;
use std::fmt::Write;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Characters of one value in a message; the rest is cut off.
const VALUE_CHARS_MAX: usize = 64;

fn columns<'a>(
    table: &'a TableDef,
    index: &'a IndexDef,
    row: &'a RowRef<'_>,
) -> impl Iterator<Item = (Cow<'a, str>, String)> {
    // Which rows a partial index is of is not said.
    let keys = index.columns.iter().skip(usize::from(index.partial));
    keys.map(move |key| {
        let column = table.columns.iter().find(|c| c.id == key.column);
        let name = column.map_or(Cow::Borrowed("?"), key_name);
        (name, text(row.get(key.column)))
    })
}

/// What a column is called as a part of a key: what it is computed from, where it has no name.
pub fn key_name(column: &ColumnDef) -> Cow<'_, str> {
    if let Some(name) = column.folded() {
        return Cow::Owned(name);
    }
    match column.generated.as_deref().filter(|_| column.is_hidden()) {
        None => Cow::Borrowed(&column.name),
        Some(call) if is_call(call) => Cow::Borrowed(call),
        Some(expression) => Cow::Owned(format!("({expression})")),
    }
}

/// Whether an expression is one call of a function, which needs no parentheses around it.
fn is_call(expression: &str) -> bool {
    let rest = expression.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    if rest.len() == expression.len() || !rest.starts_with('(') {
        return false;
    }
    let (mut depth, mut quoted) = (0_usize, false);
    let mut ends = rest.bytes().enumerate().filter_map(|(at, byte)| {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth -= 1,
            _ => {}
        }
        (depth == 0 && byte == b')').then_some(at)
    });
    ends.next() == Some(rest.len() - 1)
}

/// `a=1, b=x`
pub(super) fn assignments(table: &TableDef, index: &IndexDef, row: &RowRef<'_>) -> String {
    let columns = columns(table, index, row);
    let columns: Vec<String> = columns.map(|(name, v)| format!("{name}={v}")).collect();
    columns.join(", ")
}

/// `(a, b)=(1, x)`
pub(super) fn key(table: &TableDef, index: &IndexDef, row: &RowRef<'_>) -> String {
    let (names, values): (Vec<Cow<'_, str>>, Vec<String>) = columns(table, index, row).unzip();
    format!("({})=({})", names.join(", "), values.join(", "))
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Boolean(v) => if v { "t" } else { "f" }.to_owned(),
        ValueRef::SmallInt(v) => v.to_string(),
        ValueRef::Integer(v) => v.to_string(),
        ValueRef::BigInt(v) => v.to_string(),
        ValueRef::Real(v) => v.to_string(),
        ValueRef::Double(v) => v.to_string(),
        ValueRef::Numeric(v) => numeric(v),
        ValueRef::Text(v) => v.chars().take(VALUE_CHARS_MAX).collect(),
        ValueRef::Bytea(v) => format!("\\x{}", hex(&v[..v.len().min(VALUE_CHARS_MAX / 2)])),
        ValueRef::Packed(PackedType::Enum(_), v) => enum_label(v).unwrap_or("..").to_owned(),
        ValueRef::Packed(PackedType::Record(_) | PackedType::Composite(_), _) => {
            let record = value.as_record().unwrap_or_default();
            let fields = record.values().take(VALUE_CHARS_MAX).map(text);
            format!("({})", fields.collect::<Vec<_>>().join(","))
        }
        ValueRef::Packed(PackedType::Range(_), _) => {
            value.as_range().map_or("..".to_owned(), range)
        }
        ValueRef::Packed(..) => match value.as_array().or(value.as_ranges()) {
            Some(array) => {
                let elements: Vec<String> = array.iter().take(VALUE_CHARS_MAX).map(text).collect();
                format!("{{{}}}", elements.join(","))
            }
            None => "..".to_owned(),
        },
        ValueRef::Date(v) => date(v.into()),
        ValueRef::Time(v) => time(v),
        ValueRef::Timestamp(v) => timestamp(v),
        ValueRef::TimestampTz(v) => format!("{}+00", timestamp(v)),
        ValueRef::Interval(v) => format!("{} mons {} days {} us", v.months, v.days, v.micros),
        ValueRef::Uuid(v) => {
            let digits = hex(&v);
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
            parts.map(|part| digits[part].to_owned()).join("-")
        }
    }
}

fn range(range: SqlRange<'_>) -> String {
    let Some((lower, upper)) = range.bounds() else {
        return "empty".to_owned();
    };
    let at = |bound: RangeBound<'_>| bound.value.map_or_else(String::new, text);
    let opened = if lower.inclusive { '[' } else { '(' };
    let closed = if upper.inclusive { ']' } else { ')' };
    format!("{opened}{},{}{closed}", at(lower), at(upper))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

fn numeric(value: Numeric) -> String {
    match value.kind() {
        NumericKind::NaN => return "NaN".to_owned(),
        NumericKind::Infinity => return "Infinity".to_owned(),
        NumericKind::NegativeInfinity => return "-Infinity".to_owned(),
        NumericKind::Finite => {}
    }
    let sign = if value.mantissa() < 0 { "-" } else { "" };
    let scale = usize::from(value.scale());
    let digits = format!("{:0>1$}", value.mantissa().unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// Days since 1970 as a date of the proleptic Gregorian calendar (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn date(days: i64) -> String {
    match days {
        days if days == i64::from(i32::MAX) => return "infinity".to_owned(),
        days if days == i64::from(i32::MIN) => return "-infinity".to_owned(),
        _ => {}
    }
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{:04}-{month:02}-{day:02} BC", 1 - year)
    }
}

fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock = format!("{hours:02}:{minutes:02}:{seconds:02}");
    if fraction == 0 {
        return clock;
    }
    let fraction = format!("{fraction:06}");
    format!("{clock}.{}", fraction.trim_end_matches('0'))
}

fn timestamp(micros: i64) -> String {
    match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        _ => {
            let day = micros.div_euclid(MICROS_PER_DAY);
            format!("{} {}", date(day), time(micros.rem_euclid(MICROS_PER_DAY)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_postgresql_writes_them() {
        let numeric = Numeric::new(-5, 2).expect("a numeric");
        let cases = [
            (ValueRef::Boolean(true), "t"),
            (ValueRef::Numeric(numeric), "-0.05"),
            (ValueRef::Date(0), "1970-01-01"),
            (ValueRef::Date(19_782), "2024-02-29"),
            (ValueRef::Date(-719_528), "0001-01-01 BC"),
            (ValueRef::Timestamp(1_500_000), "1970-01-01 00:00:01.5"),
            (ValueRef::Timestamp(-1_000_000), "1969-12-31 23:59:59"),
            (ValueRef::Bytea(&[1, 255]), "\\x01ff"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value), expected);
        }
    }
}
