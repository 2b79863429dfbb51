//! Which overload a call means: PostgreSQL's rules ("Type Conversion" in its manual).
//!
//! 1. An overload with exactly the argument types wins. With one untyped literal in a binary
//!    operator, the literal is first taken to have the other side's type.
//! 2. Else the candidates are those that every argument reaches by an implicit cast; an untyped
//!    literal reaches every type. One candidate wins.
//! 3. Of several, keep those with most exact matches, then those with most exact or preferred
//!    types. For untyped literals prefer the string category, else the one category that all
//!    candidates agree on; then take literals to have the type that all known arguments share.
//!
//! Several survivors are 42725, none is 42883. Modifiers (`VARCHAR(3)`) play no part.

use super::cast::{self, CastContext};
use super::{ArgumentType, CallTypes, Kernel, Overload, Resolved, range_type, record, registry};
use crate::error::{Error, Result, state};
use remora_storage::DataType;
use remora_storage::value::{ElementType, PackedType};
use std::fmt::Write;

/// Finds the overload that PostgreSQL would call.
///
/// # Errors
/// 42883 where there is none (with a hint where the name is nearly right), 42725 where several
/// fit equally.
pub(crate) fn resolve(name: &str, arguments: &[ArgumentType]) -> Result<Resolved> {
    let overloads = registry::overloads(name);
    if overloads.is_empty() {
        return Err(undefined(name, arguments));
    }
    let types: Vec<ArgumentType> = arguments.iter().map(|t| t.map(base)).collect();
    let (generic, typed): (Vec<&'static Overload>, Vec<_>) = overloads
        .iter()
        .copied()
        .partition(|overload| matches!(overload.kernel, Kernel::Generic(..)));
    let any = || generic.iter().find_map(|overload| fit(overload, arguments));
    // Enumerations and records have little of their own: what takes any type takes them as text where it can. Bits and
    // times have functions of their own type only, as what is not packed has. A range beside a text is text.
    let is_packed = |found: &ArgumentType| match found {
        Some(DataType::Packed(packed)) => {
            let has_own = matches!(
                packed,
                PackedType::Enum(_)
                    | PackedType::TimeTz
                    | PackedType::Bit(_)
                    | PackedType::VarBit(_)
                    | PackedType::Record(_)
                    | PackedType::Composite(_)
            );
            let is_text = name == "||" && range_type(DataType::Packed(*packed)).is_some();
            !has_own && !is_text
        }
        _ => false,
    };
    if (typed.is_empty()
        || types.iter().any(is_packed) && !typed.iter().any(|o| is_meant(o, &types)))
        && let Some(found) = any()
    {
        return Ok(found);
    }
    let overloads = typed.as_slice();
    let overload = match polymorphic(name, &types, arguments, overloads)? {
        Some(overload) => overload,
        None => {
            let signatures: Vec<Signature> = overloads
                .iter()
                .map(|o| Signature {
                    types: o.arguments,
                    variadic: o.variadic,
                })
                .collect();
            match choose(&types, &signatures) {
                Choice::One(index) => overloads[index],
                Choice::None => return any().ok_or_else(|| undefined(name, arguments)),
                Choice::Several => return Err(ambiguous(name, arguments)),
            }
        }
    };
    let wanted = |at: usize| overload.arguments.get(at).or(overload.arguments.last());
    let types = CallTypes {
        arguments: (0..arguments.len()).filter_map(wanted).copied().collect(),
        returns: overload.returns,
    };
    Ok(Resolved { overload, types })
}

/// Whether an overload takes just these types, where what has none is of the type of the others.
fn is_meant(overload: &Overload, types: &[ArgumentType]) -> bool {
    let mut known = types.iter().flatten();
    let first = known.next().copied();
    let wanted = types.iter().map(|found| found.or(first));
    overload.arguments.len() == types.len()
        && wanted.eq(overload.arguments.iter().copied().map(Some))
}

/// The call of a generic overload, where the arguments fit it.
fn fit(overload: &'static Overload, arguments: &[ArgumentType]) -> Option<Resolved> {
    let Kernel::Generic(generic, _) = &overload.kernel else {
        return None;
    };
    let mut types = generic.fit(arguments, overload.variadic)?;
    if !overload.fields.is_empty() {
        types.returns = record::of_fields(overload.fields);
    }
    Some(Resolved { overload, types })
}

/// Which of several lists of types arguments fit best.
pub(crate) fn choose_among(arguments: &[ArgumentType], lists: &[Vec<DataType>]) -> Choice {
    let types: Vec<ArgumentType> = arguments.iter().map(|t| t.map(base)).collect();
    let signatures: Vec<Signature<'_>> = lists
        .iter()
        .map(|types| Signature {
            types,
            variadic: false,
        })
        .collect();
    choose(&types, &signatures)
}

/// Whether a function of the system takes just these arguments; `Some(false)` where it takes them, but not just
/// these, and `None` where it does not take them.
pub(crate) fn exact_match(name: &str, arguments: &[ArgumentType]) -> Option<bool> {
    let found = resolve(name, arguments).ok()?;
    let mut pairs = arguments.iter().zip(found.overload.arguments);
    Some(pairs.all(|(given, wanted)| given.map(base) == Some(*wanted)))
}

/// The types of those functions of the system that take so many arguments, but for those that take any.
pub(crate) fn signatures(name: &str, arguments: usize) -> Vec<Vec<DataType>> {
    let overloads = registry::overloads(name).iter();
    let typed = overloads.filter(|o| !matches!(o.kernel, Kernel::Generic(..)));
    let fitting = typed.filter(|o| !o.variadic && o.arguments.len() == arguments);
    fitting.map(|o| o.arguments.to_vec()).collect()
}

/// The complaint that several functions of the name fit equally.
pub(crate) fn not_unique(name: &str, arguments: &[ArgumentType]) -> Error {
    ambiguous(name, arguments)
}

/// The type as signatures name it.
pub(super) fn base(data_type: DataType) -> DataType {
    match data_type {
        DataType::Char(_) => DataType::Char(u32::MAX),
        DataType::Packed(PackedType::Array(element)) => {
            ElementType::new(base(element.data_type())).map_or(data_type, ElementType::array)
        }
        // What its fields are goes with it wherever any type does.
        record @ DataType::Packed(PackedType::Record(_)) => record,
        other => other.without_modifier(),
    }
}

/// The functions that take "any" type in PostgreSQL.
fn polymorphic(
    name: &str,
    types: &[ArgumentType],
    arguments: &[ArgumentType],
    overloads: &[&'static Overload],
) -> Result<Option<&'static Overload>> {
    let of_type = |t: DataType| {
        overloads
            .iter()
            .find(|o| o.arguments[0] == base(t))
            .copied()
    };
    Ok(match name {
        "greatest" | "least" if !types.is_empty() => {
            of_type(cast::common_type(types, &name.to_uppercase())?)
        }
        "nullif" | "is_distinct_from" | "is_not_distinct_from" if types.len() == 2 => {
            // They mean the `=` of these types, and fail as it does.
            of_type(resolve("=", arguments)?.types.arguments[0])
        }
        // Everything can be written as text.
        "concat" => Some(overloads[0]),
        "concat_ws" | "format" if !types.is_empty() => Some(overloads[0]),
        "||" => match types {
            [Some(t @ DataType::Packed(PackedType::Jsonb)), None]
            | [None, Some(t @ DataType::Packed(PackedType::Jsonb))] => of_type(*t),
            [
                Some(DataType::Packed(PackedType::Bit(_) | PackedType::VarBit(_))),
                None,
            ]
            | [
                None,
                Some(DataType::Packed(PackedType::Bit(_) | PackedType::VarBit(_))),
            ] => of_type(DataType::Packed(PackedType::VarBit(0))),
            [Some(DataType::Bytea), Some(DataType::Bytea) | None]
            | [None, Some(DataType::Bytea)] => of_type(DataType::Bytea),
            [None, None] => of_type(DataType::Text),
            [Some(a), _] if a.is_string() => of_type(DataType::Text),
            [_, Some(b)] if b.is_string() => of_type(DataType::Text),
            // The untyped literal is text: anynonarray || text.
            [Some(_), None] | [None, Some(_)] => of_type(DataType::Text),
            _ => None,
        },
        _ => None,
    })
}

/// The argument types of a candidate.
#[derive(Clone, Copy)]
pub(super) struct Signature<'t> {
    pub(super) types: &'t [DataType],
    pub(super) variadic: bool,
}

impl Signature<'_> {
    fn takes(&self, count: usize) -> bool {
        count == self.types.len() || (self.variadic && count >= self.types.len())
    }

    fn at(&self, position: usize) -> DataType {
        self.types[position.min(self.types.len() - 1)]
    }
}

/// What [`choose`] found.
pub(crate) enum Choice {
    /// The winner's index.
    One(usize),
    /// Nothing takes these arguments.
    None,
    /// Several fit equally.
    Several,
}

/// The rules of the module's header. `types` are without modifiers.
pub(super) fn choose(types: &[ArgumentType], signatures: &[Signature<'_>]) -> Choice {
    let fitting: Vec<usize> = (0..signatures.len())
        .filter(|&i| signatures[i].takes(types.len()))
        .collect();
    let exact = |wanted: &[ArgumentType]| {
        fitting.iter().copied().find(|&i| {
            wanted
                .iter()
                .enumerate()
                .all(|(n, t)| *t == Some(signatures[i].at(n)))
        })
    };
    if let Some(index) = exact(types) {
        return Choice::One(index);
    }
    if let [Some(t), None] | [None, Some(t)] = types
        && let Some(index) = exact(&[Some(*t), Some(*t)])
    {
        return Choice::One(index);
    }
    let reachable: Vec<usize> = fitting
        .into_iter()
        .filter(|&i| {
            types
                .iter()
                .enumerate()
                .all(|(n, t)| t.is_none_or(|t| implicit(t, signatures[i].at(n))))
        })
        .collect();
    select(types, signatures, reachable)
}

fn select(types: &[ArgumentType], signatures: &[Signature<'_>], found: Vec<usize>) -> Choice {
    let known = |score: &dyn Fn(DataType, DataType) -> bool, i: usize| {
        types
            .iter()
            .enumerate()
            .filter(|(n, t)| t.is_some_and(|t| score(t, signatures[i].at(*n))))
            .count()
    };
    let found = keep_best(found, |i| known(&|have, want| have == want, i));
    let found = keep_best(found, |i| {
        known(
            &|have, want| have == want || (is_preferred(want) && category(have) == category(want)),
            i,
        )
    });
    if let Some(choice) = decided(&found) {
        return choice;
    }
    let found = by_category(types, signatures, found);
    if let Some(choice) = decided(&found) {
        return choice;
    }
    // Literals may have the type that all known arguments share.
    let mut shared = types.iter().flatten();
    if let Some(first) = shared.next()
        && shared.all(|t| t == first)
    {
        let narrowed: Vec<usize> = found
            .iter()
            .copied()
            .filter(|&i| (0..types.len()).all(|n| implicit(*first, signatures[i].at(n))))
            .collect();
        if let [only] = narrowed[..] {
            return Choice::One(only);
        }
    }
    Choice::Several
}

fn decided(found: &[usize]) -> Option<Choice> {
    match found {
        [] => Some(Choice::None),
        [only] => Some(Choice::One(*only)),
        _ => None,
    }
}

fn keep_best(found: Vec<usize>, score: impl Fn(usize) -> usize) -> Vec<usize> {
    let best = found.iter().map(|&i| score(i)).max().unwrap_or(0);
    found.into_iter().filter(|&i| score(i) == best).collect()
}

/// Keeps the candidates that suit the untyped literals, where the candidates agree on a category.
fn by_category(
    types: &[ArgumentType],
    signatures: &[Signature<'_>],
    mut found: Vec<usize>,
) -> Vec<usize> {
    let all = found.clone();
    for n in (0..types.len()).filter(|&n| types[n].is_none()) {
        let categories: Vec<char> = all.iter().map(|&i| category(signatures[i].at(n))).collect();
        let chosen = if categories.contains(&'S') {
            'S'
        } else if categories.iter().all(|c| *c == categories[0]) {
            categories[0]
        } else {
            return all;
        };
        let in_category = |i: &usize| category(signatures[*i].at(n)) == chosen;
        let preferred = all
            .iter()
            .any(|i| in_category(i) && is_preferred(signatures[*i].at(n)));
        found.retain(|i| in_category(i) && (!preferred || is_preferred(signatures[*i].at(n))));
    }
    if found.is_empty() { all } else { found }
}

fn implicit(from: DataType, to: DataType) -> bool {
    cast::cast_context(from, to) == Some(CastContext::Implicit)
}

/// PostgreSQL's `typcategory`.
pub(super) fn category(data_type: DataType) -> char {
    match data_type {
        DataType::Boolean => 'B',
        t if t.is_number() => 'N',
        t if t.is_string() => 'S',
        DataType::Date | DataType::Time | DataType::Timestamp | DataType::TimestampTz => 'D',
        DataType::Packed(PackedType::TimeTz) => 'D',
        DataType::Packed(PackedType::Bit(_) | PackedType::VarBit(_)) => 'V',
        DataType::Interval => 'T',
        DataType::Packed(PackedType::Array(_)) => 'A',
        DataType::Packed(PackedType::Enum(_)) => 'E',
        DataType::Packed(PackedType::Range(_) | PackedType::Multirange(_)) => 'R',
        DataType::Packed(PackedType::Record(_)) => 'P',
        DataType::Packed(PackedType::Composite(_)) => 'C',
        _ => 'U',
    }
}

/// PostgreSQL's `typispreferred`.
pub(super) fn is_preferred(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Double
            | DataType::Text
            | DataType::TimestampTz
            | DataType::Interval
            | DataType::Packed(PackedType::VarBit(_))
    )
}

fn is_operator(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// A type as messages name it: without its modifier.
pub(crate) fn type_name(data_type: DataType) -> String {
    match data_type {
        DataType::Char(_) => "character".to_owned(),
        DataType::Packed(PackedType::Array(element)) => {
            format!("{}[]", type_name(element.data_type()))
        }
        other => other.without_modifier().to_string(),
    }
}

/// The call as messages show it: `integer + boolean`, `foo(integer, unknown)`.
pub(super) fn describe(name: &str, arguments: &[ArgumentType]) -> String {
    let shown = |t: &ArgumentType| t.map_or_else(|| "unknown".to_owned(), type_name);
    match arguments {
        [a] if is_operator(name) => format!("{name} {}", shown(a)),
        [a, b] if is_operator(name) => format!("{} {name} {}", shown(a), shown(b)),
        _ => {
            let list: Vec<String> = arguments.iter().map(shown).collect();
            format!("{name}({})", list.join(", "))
        }
    }
}

/// The complaint that no aggregate or window function of the name takes such arguments.
pub(crate) fn no_such_function(name: &str, arguments: &[ArgumentType]) -> Error {
    let message = format!("function {} does not exist", describe(name, arguments));
    Error::new(state::UNDEFINED_FUNCTION, message).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type \
         casts.",
    )
}

pub(super) fn undefined(name: &str, arguments: &[ArgumentType]) -> Error {
    let kind = if is_operator(name) {
        "operator"
    } else {
        "function"
    };
    let mut hint = format!(
        "No {kind} matches the given name and argument types. You might need to add explicit type \
         casts."
    );
    if !is_operator(name)
        && registry::overloads(name).is_empty()
        && let Some(near) = registry::nearest(name)
    {
        let _ = write!(hint, " Perhaps you meant \"{near}\".");
    }
    let call = describe(name, arguments);
    let message = match kind {
        "operator" => format!("operator does not exist: {call}"),
        _ => format!("function {call} does not exist"),
    };
    Error::new(state::UNDEFINED_FUNCTION, message).with_hint(hint)
}

pub(super) fn ambiguous(name: &str, arguments: &[ArgumentType]) -> Error {
    let call = describe(name, arguments);
    let (kind, message) = if is_operator(name) {
        ("operator", format!("operator is not unique: {call}"))
    } else {
        ("function", format!("function {call} is not unique"))
    };
    Error::new(state::AMBIGUOUS_FUNCTION, message).with_hint(format!(
        "Could not choose a best candidate {kind}. You might need to add explicit type casts."
    ))
}
