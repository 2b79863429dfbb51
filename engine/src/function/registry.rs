//! All overloads by name.

use super::{
    Overload, amounts, arithmetic, array, bins, bits, clock, collation, comparison, definition,
    digest, format_text, ids, json, like, made, math, moment, numbers, overlaps, part, pg_types,
    precision, quote, range, record, regex, sample, sequence, setting, statement, string, system,
    timetz, to_char, trigonometry, unicode, updatable,
};
use hashbrown::HashMap;
use std::sync::LazyLock;

type Table = HashMap<&'static str, Vec<&'static Overload>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::new();
    for overload in all() {
        table.entry(overload.name).or_default().push(overload);
    }
    table
});

/// Every overload there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Overload> {
    let families = [
        arithmetic::FUNCTIONS,
        amounts::FUNCTIONS,
        comparison::FUNCTIONS,
        collation::FUNCTIONS,
        like::FUNCTIONS,
        math::FUNCTIONS,
        numbers::FUNCTIONS,
        trigonometry::FUNCTIONS,
        definition::FUNCTIONS,
        digest::FUNCTIONS,
        ids::FUNCTIONS,
        statement::rate_limit::FUNCTIONS,
        moment::FUNCTIONS,
        overlaps::FUNCTIONS,
        part::FUNCTIONS,
        clock::FUNCTIONS,
        bins::FUNCTIONS,
        bits::FUNCTIONS,
        timetz::FUNCTIONS,
        precision::FUNCTIONS,
        to_char::FUNCTIONS,
        format_text::FUNCTIONS,
        string::FUNCTIONS,
        quote::FUNCTIONS,
        unicode::FUNCTIONS,
        updatable::FUNCTIONS,
        regex::FUNCTIONS,
        sample::FUNCTIONS,
        sequence::FUNCTIONS,
        setting::FUNCTIONS,
        system::FUNCTIONS,
        array::FUNCTIONS,
        range::FUNCTIONS,
        json::over_text::FUNCTIONS,
        json::over_packed::FUNCTIONS,
        json::conversions::FUNCTIONS,
        json::path::FUNCTIONS,
        json::record::FUNCTIONS,
        json::assign::FUNCTIONS,
        pg_types::FUNCTIONS,
        made::FUNCTIONS,
        record::FUNCTIONS,
    ];
    families
        .into_iter()
        .flatten()
        .flat_map(|table| table.iter())
}

/// The overloads of a name; none where nothing has it.
pub(super) fn overloads(name: &str) -> &'static [&'static Overload] {
    TABLE.get(name).map_or(&[], Vec::as_slice)
}

/// The only overload of a name that has one.
pub(crate) fn only(name: &str) -> Option<&'static Overload> {
    overloads(name).first().copied()
}

/// Whether any function has the name.
pub(crate) fn exists(name: &str) -> bool {
    TABLE.contains_key(name)
}

/// Returns the function whose name is at most two typing errors away.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let limit = if name.chars().count() < 4 { 1 } else { 2 };
    let known = TABLE.keys().copied();
    let words = known.filter(|known| known.starts_with(|c: char| c.is_ascii_lowercase()));
    nearest_within(name, limit, words)
}

/// Returns the candidate to which the fewest insertions, deletions and replacements of characters lead, `limit` at most.
pub(crate) fn nearest_within<'a>(
    name: &str,
    limit: usize,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}
