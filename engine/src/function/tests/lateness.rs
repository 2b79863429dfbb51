//! Every overload over long values hears that it is to end, by counted work rather than by the clock.
//!
//! A call gets no patience at all: its first look at the interrupt ends it. Over values of several pieces of work it
//! must look, or fail for another reason; or it is one of [`NEVER`] or [`SOMETIMES`].

use super::types_of;
use crate::function::cast::cast_value;
use crate::function::{CallTypes, EvalContext, Overload, Patience, Volatility, registry};
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value};
use std::collections::BTreeSet;

const BYTES: usize = 256 << 10;

/// Functions that do not look beside the short values of this test: they copy, count, compare or search for a few bytes
/// at gigabytes a second, or the long value is not what their work depends on.
#[rustfmt::skip]
const NEVER: &[&str] = &[
    "!~~", "!~~ ALL", "!~~ ANY", "&<", "&>", "*", "-|-", "<", "< ALL", "< ANY", "<=", "<= ANY", "<>",
    "<> ALL", "<> ANY", "=", "= ALL", "= ANY", ">", "> ALL", ">=", ">= ALL", ">= ANY", "@?", "@@", "^@",
    "array_dims", "array_length", "array_lower", "array_ndims", "array_position", "array_upper", "ascii",
    "bit_count", "bit_length", "cardinality", "char_length", "character_length", "collate", "concat_ws",
    "elem_contained_by_multirange", "format", "get_bit", "get_byte", "greatest", "is_distinct_from",
    "is_not_distinct_from", "isempty", "json_build_array", "jsonb_array_length", "jsonb_extract_path",
    "jsonb_extract_path_text", "jsonb_path_exists", "jsonb_path_exists_opr", "jsonb_path_exists_tz",
    "jsonb_path_match_opr", "jsonb_path_query_array", "jsonb_path_query_array_tz", "jsonb_path_query_first",
    "jsonb_path_query_first_tz", "jsonb_typeof", "least", "left", "length", "like_prefix", "lower_inc", "lower_inf",
    "lpad", "multirange_adjacent_multirange", "multirange_adjacent_range", "multirange_after_multirange",
    "multirange_after_range", "multirange_before_multirange", "multirange_before_range", "multirange_cmp",
    "multirange_contained_by_multirange", "multirange_contained_by_range", "multirange_contains_elem",
    "multirange_contains_multirange", "multirange_contains_range", "multirange_eq", "multirange_ge",
    "multirange_gt", "multirange_intersect", "multirange_le", "multirange_lt", "multirange_ne",
    "multirange_overlaps_multirange", "multirange_overlaps_range", "multirange_overleft_multirange",
    "multirange_overleft_range", "multirange_overright_multirange", "multirange_overright_range", "nocase_of_pair",
    "nullif", "num_nonnulls", "num_nulls", "octet_length", "pg_column_size", "pg_get_expr", "pg_typeof",
    "range_adjacent_multirange", "range_after_multirange", "range_before_multirange",
    "range_contained_by_multirange", "range_contains_multirange", "range_merge", "range_overlaps_multirange",
    "range_overleft_multirange", "range_overright_multirange", "record_as", "record_field", "record_is_not_null",
    "record_is_null", "record_of", "right", "rpad", "set_bit", "set_byte", "slice", "starts_with", "subscript",
    "substr", "to_jsonb", "upper_inc", "upper_inf", "variadic jsonb_extract_path",
    "variadic jsonb_extract_path_text", "variadic num_nonnulls", "variadic num_nulls", "~<=~",
    "~<~", "~>=~", "~>~", "~~", "~~ ALL", "~~ ANY",
];

/// Functions that look over some long values; over others they end soon, as where the first bytes decide.
#[rustfmt::skip]
const SOMETIMES: &[&str] = &[
    "!~ ALL", "!~ ANY", "!~* ALL", "!~* ANY", "!~~* ALL", "!~~* ANY", "#>", "#>>", "&&", "-", "->", "->>", "<<", "<= ALL",
    "<@", "> ANY", ">>", "?", "@>", "array_positions", "array_remove", "array_replace", "array_to_string", "assign_slice",
    "btrim", "json_extract_path", "json_extract_path_text", "jsonb_delete", "jsonb_exists",
    "lower", "ltrim", "multirange_minus", "position", "ranges_together", "record_array",
    "replace", "row_to_json", "rtrim", "split_part", "string_to_array", "strpos", "substring", "to_date",
    "to_timestamp", "translate", "trim", "upper", "variadic concat_ws", "variadic format",
    "variadic json_extract_path", "variadic json_extract_path_text", "width_bucket", "~ ALL", "~ ANY", "~* ALL", "~* ANY",
    "~~* ALL", "~~* ANY",
];

fn repeated(start: &str, part: &str, end: &str) -> String {
    format!("{start}{}{end}", part.repeat(BYTES / part.len()))
}

/// Long values of a type; none where it has none.
fn long(data_type: DataType) -> Vec<Value> {
    let texts: Vec<String> = match data_type {
        DataType::Text => [
            "x",
            " ",
            "7",
            "Äß",
            "Lorem ipsum, dolor. ",
            "deadbeef",
            "YYYY ",
        ]
        .iter()
        .map(|part| repeated("", part, ""))
        .collect(),
        DataType::Bytea => vec![repeated("\\x", "0a", "")],
        DataType::Json | DataType::Packed(PackedType::Jsonb) => vec![
            repeated("[1", ",22", "]"),
            format!("[\"{}\"]", "x".repeat(BYTES)),
        ],
        DataType::Packed(PackedType::Array(_)) => vec![repeated("{1", ",22", "}")],
        DataType::Packed(PackedType::Bit(_) | PackedType::VarBit(_)) => {
            vec![repeated("", "10", "")]
        }
        DataType::Packed(PackedType::Multirange(_)) => {
            let ranges = (0..BYTES / 16).map(|n| format!("[{},{})", n * 4, n * 4 + 1));
            vec![format!("{{{}}}", ranges.collect::<Vec<_>>().join(","))]
        }
        _ => Vec::new(),
    };
    let read = |text: &String| cast(text, data_type);
    texts.iter().filter_map(read).collect()
}

/// A value by its text, where the type has one of that text.
fn cast(text: &str, to: DataType) -> Option<Value> {
    let text = Value::Text(text.to_owned());
    cast_value(text.as_ref(), to, true, &EvalContext::default()).ok()
}

/// A short value of a type.
fn short(data_type: DataType) -> Value {
    let text = match data_type {
        DataType::Boolean => "true",
        DataType::Json | DataType::Packed(PackedType::Jsonb) => "[1]",
        DataType::Packed(PackedType::Array(_)) => "{1}",
        DataType::Packed(PackedType::Range(_)) => "[3,9)",
        DataType::Packed(PackedType::Multirange(_)) => "{[3,9)}",
        DataType::Packed(PackedType::TimeTz) | DataType::Time => "10:00",
        DataType::Date | DataType::Timestamp | DataType::TimestampTz => "2024-01-05",
        DataType::Interval => "1 day",
        DataType::Bytea => "\\x78",
        DataType::Uuid => "6ecd8c99-4036-403d-bf84-cf8400f67836",
        _ => "1",
    };
    let empty = || cast("{}", data_type);
    cast(text, data_type).or_else(empty).unwrap_or(Value::Null)
}

/// How a call ends whose first look ends it.
enum Outcome {
    /// By itself, without a look.
    Ended,
    /// By its first look.
    Heard,
    /// By another error, before it has looked.
    Failed,
}

fn outcome(overload: &Overload, types: &CallTypes, arguments: &[Value]) -> Outcome {
    let context = EvalContext {
        patience: Patience::none(),
        ..EvalContext::default()
    };
    let arguments: Vec<_> = arguments.iter().map(Value::as_ref).collect();
    match overload.call(&arguments, || types.clone(), &context) {
        Ok(_) => Outcome::Ended,
        Err(error) if error.sqlstate() == "57014" => Outcome::Heard,
        Err(_) => Outcome::Failed,
    }
}

/// All lists are as short as they can be: a function that no longer looks is noticed, and one that has begun to.
#[test]
fn every_overload_over_long_values_hears_that_it_is_to_end() {
    let (mut deaf, mut heard) = (BTreeSet::new(), BTreeSet::new());
    for overload in registry::all().filter(|one| one.volatility != Volatility::Volatile) {
        let Some(types) = types_of(overload, DataType::Text) else {
            continue;
        };
        for at in 0..types.arguments.len() {
            for value in long(types.arguments[at]) {
                let mut arguments: Vec<Value> =
                    types.arguments.iter().map(|of| short(*of)).collect();
                arguments[at] = value;
                match outcome(overload, &types, &arguments) {
                    Outcome::Ended => deaf.insert(overload.name),
                    Outcome::Heard => heard.insert(overload.name),
                    Outcome::Failed => false,
                };
            }
        }
    }
    let (sometimes, never): (Vec<&str>, Vec<&str>) =
        deaf.iter().partition(|name| heard.contains(*name));
    assert_eq!((&never[..], &sometimes[..]), (NEVER, SOMETIMES));
}
