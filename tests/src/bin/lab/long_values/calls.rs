//! Calls as the manual of functions has them: what arguments they take, and how they are written.

use remora::internal::manual::{Entry, Kind};

/// The types that each argument may have, as the manual writes them.
pub(super) fn argument_types(entry: &Entry) -> Vec<Vec<String>> {
    let call = entry.call.as_str();
    let sides: Vec<&str> = match (entry.kind, call.split_once(" WITHIN GROUP (ORDER BY ")) {
        (Kind::Operator, _) => {
            let inner = format!(" {} ", entry.name);
            match call.split_once(&inner) {
                Some((left, right)) => vec![left, right],
                None => vec![call.strip_prefix(entry.name).unwrap_or(call).trim()],
            }
        }
        // The last is that which rows are ordered by.
        (_, Some((before, last))) => {
            let before = inner_of(before).split(", ").filter(|of| !of.is_empty());
            before.chain([last.trim_end_matches(')')]).collect()
        }
        _ => inner_of(call).split(", ").collect(),
    };
    let known = sides
        .iter()
        .filter(|side| !matches!(**side, "" | "..." | "*"));
    known
        .map(|side| side.split('/').map(str::to_owned).collect())
        .collect()
}

/// The text between the parentheses of a call.
fn inner_of(call: &str) -> &str {
    let inner = call.split_once('(').map_or("", |(_, inner)| inner);
    inner.strip_suffix(')').unwrap_or(inner)
}

/// The call with these arguments, as an expression.
pub(super) fn written(entry: &Entry, arguments: &[String]) -> String {
    let name = entry.name;
    let list = arguments.join(", ");
    match (entry.kind, arguments) {
        (Kind::Operator, [one]) => format!("{name} {one}"),
        (Kind::Operator, [left, right]) => format!("({left}) {name} ({right})"),
        (Kind::Window, _) => format!("{name}({list}) OVER ()"),
        (_, [before @ .., last]) if entry.call.contains(" WITHIN GROUP ") => {
            let before = before.join(", ");
            format!("{name}({before}) WITHIN GROUP (ORDER BY {last})")
        }
        _ => format!("{name}({list})"),
    }
}
