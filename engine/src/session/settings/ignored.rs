//! PostgreSQL's settings that advise its planner, size its memory or speak of its servers.
//!
//! Clients, dumps and scripts set them, and nothing here listens: plans are chosen otherwise, memory
//! is the ledger's. They are taken within PostgreSQL's limits and read back as it shows them, so that such a
//! client comes through; none of them changes what a statement means. Those of PostgreSQL's settings
//! that would are in `settings`, or unknown.

use super::{Setting, refuse};
use crate::error::{Error, Result};
use Kind::{Free, OneOf, Real, Switch};
use Unit::{Count, Kilobytes, Millis, Pages, Seconds};

/// What values one has.
#[derive(Clone, Copy)]
pub(in crate::session) enum Kind {
    Free,
    Switch,
    OneOf(&'static [&'static str]),
    Whole(Unit, i64, i64),
    Real(f64, f64),
}

/// What a whole number counts, unless it says so itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Unit {
    Count,
    Kilobytes,
    /// 8 kB each.
    Pages,
    Millis,
    Seconds,
}

const BYTES: [(&str, i64); 5] = [
    ("B", 1),
    ("kB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("TB", 1 << 40),
];

const MICROS: [(&str, i64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

impl Unit {
    /// The units that may be written, how many of the smallest each has, and how many this has.
    fn scale(self) -> (&'static [(&'static str, i64)], i64) {
        match self {
            Count => (&[], 1),
            Kilobytes => (&BYTES, 1 << 10),
            Pages => (&BYTES, 8 << 10),
            Millis => (&MICROS, 1_000),
            Seconds => (&MICROS, 1_000_000),
        }
    }

    /// As complaints name it.
    fn name(self) -> &'static str {
        match self {
            Count => "",
            Kilobytes => " kB",
            Pages => " 8kB",
            Millis => " ms",
            Seconds => " s",
        }
    }
}

const fn hint(name: &'static str, default: &'static str, kind: Kind) -> Setting {
    Setting::advice(name, default, kind)
}

const fn whole(unit: Unit, min: i64, max: i64) -> Kind {
    Kind::Whole(unit, min, max)
}

/// All of them, by name, with the defaults of PostgreSQL 15.
#[rustfmt::skip]
pub(in crate::session) const ADVICE: &[Setting] = &[
    hint("check_function_bodies", "on", Switch),
    hint("client_connection_check_interval", "0", whole(Millis, 0, 2147483647)),
    hint("compute_query_id", "auto", OneOf(&["auto", "regress", "on", "off"])),
    hint("constraint_exclusion", "partition", OneOf(&["partition", "on", "off"])),
    hint("cpu_index_tuple_cost", "0.005", Real(0.0, f64::MAX)),
    hint("cpu_operator_cost", "0.0025", Real(0.0, f64::MAX)),
    hint("cpu_tuple_cost", "0.01", Real(0.0, f64::MAX)),
    hint("cursor_tuple_fraction", "0.1", Real(0.0, 1.0)),
    hint("deadlock_timeout", "1s", whole(Millis, 1, 2147483647)),
    hint("debug_pretty_print", "on", Switch),
    hint("debug_print_parse", "off", Switch),
    hint("debug_print_plan", "off", Switch),
    hint("debug_print_rewritten", "off", Switch),
    hint("default_statistics_target", "100", whole(Count, 1, 10000)),
    hint("default_tablespace", "", Free),
    hint("default_toast_compression", "pglz", OneOf(&["pglz", "lz4"])),
    hint("default_transaction_deferrable", "off", Switch),
    hint("effective_cache_size", "4GB", whole(Pages, 1, 2147483647)),
    hint("effective_io_concurrency", "1", whole(Count, 0, 1000)),
    hint("enable_async_append", "on", Switch),
    hint("enable_bitmapscan", "on", Switch),
    hint("enable_gathermerge", "on", Switch),
    hint("enable_hashagg", "on", Switch),
    hint("enable_hashjoin", "on", Switch),
    hint("enable_incremental_sort", "on", Switch),
    hint("enable_indexonlyscan", "on", Switch),
    hint("enable_indexscan", "on", Switch),
    hint("enable_material", "on", Switch),
    hint("enable_memoize", "on", Switch),
    hint("enable_mergejoin", "on", Switch),
    hint("enable_nestloop", "on", Switch),
    hint("enable_parallel_append", "on", Switch),
    hint("enable_parallel_hash", "on", Switch),
    hint("enable_partition_pruning", "on", Switch),
    hint("enable_partitionwise_aggregate", "off", Switch),
    hint("enable_partitionwise_join", "off", Switch),
    hint("enable_seqscan", "on", Switch),
    hint("enable_sort", "on", Switch),
    hint("enable_tidscan", "on", Switch),
    hint("escape_string_warning", "on", Switch),
    hint("force_parallel_mode", "off", OneOf(&["off", "on", "regress"])),
    hint("from_collapse_limit", "8", whole(Count, 1, 2147483647)),
    hint("geqo", "on", Switch),
    hint("geqo_effort", "5", whole(Count, 1, 10)),
    hint("geqo_generations", "0", whole(Count, 0, 2147483647)),
    hint("geqo_pool_size", "0", whole(Count, 0, 2147483647)),
    hint("geqo_seed", "0", Real(0.0, 1.0)),
    hint("geqo_selection_bias", "2", Real(1.5, 2.0)),
    hint("geqo_threshold", "12", whole(Count, 2, 2147483647)),
    hint("gin_fuzzy_search_limit", "0", whole(Count, 0, 2147483647)),
    hint("gin_pending_list_limit", "4MB", whole(Kilobytes, 64, 2147483647)),
    hint("hash_mem_multiplier", "2", Real(1.0, 1000.0)),
    hint("jit", "on", Switch),
    hint("jit_above_cost", "100000", Real(-1.0, f64::MAX)),
    hint("jit_expressions", "on", Switch),
    hint("jit_inline_above_cost", "500000", Real(-1.0, f64::MAX)),
    hint("jit_optimize_above_cost", "500000", Real(-1.0, f64::MAX)),
    hint("jit_tuple_deforming", "on", Switch),
    hint("join_collapse_limit", "8", whole(Count, 1, 2147483647)),
    hint("log_duration", "off", Switch),
    hint("log_min_duration_statement", "-1", whole(Millis, -1, 2147483647)),
    hint("log_min_error_statement", "error", OneOf(&["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"])),
    hint("log_min_messages", "warning", OneOf(&["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"])),
    hint("log_statement", "none", OneOf(&["none", "ddl", "mod", "all"])),
    hint("log_statement_stats", "off", Switch),
    hint("logical_decoding_work_mem", "64MB", whole(Kilobytes, 64, 2147483647)),
    hint("maintenance_work_mem", "64MB", whole(Kilobytes, 1024, 2147483647)),
    hint("max_parallel_maintenance_workers", "2", whole(Count, 0, 1024)),
    hint("max_parallel_workers", "8", whole(Count, 0, 1024)),
    hint("max_parallel_workers_per_gather", "2", whole(Count, 0, 1024)),
    hint("max_stack_depth", "2MB", whole(Kilobytes, 100, 2147483647)),
    hint("min_parallel_index_scan_size", "512kB", whole(Pages, 0, 715827882)),
    hint("min_parallel_table_scan_size", "8MB", whole(Pages, 0, 715827882)),
    hint("parallel_leader_participation", "on", Switch),
    hint("parallel_setup_cost", "1000", Real(0.0, f64::MAX)),
    hint("parallel_tuple_cost", "0.1", Real(0.0, f64::MAX)),
    hint("plan_cache_mode", "auto", OneOf(&["auto", "force_generic_plan", "force_custom_plan"])),
    hint("quote_all_identifiers", "off", Switch),
    hint("random_page_cost", "4", Real(0.0, f64::MAX)),
    hint("recursive_worktable_factor", "10", Real(0.001, 1e6)),
    hint("restrict_nonsystem_relation_kind", "", Free),
    hint("row_security", "on", Switch),
    hint("seq_page_cost", "1", Real(0.0, f64::MAX)),
    hint("stats_fetch_consistency", "cache", OneOf(&["none", "cache", "snapshot"])),
    hint("synchronize_seqscans", "on", Switch),
    hint("tcp_keepalives_count", "0", whole(Count, 0, 2147483647)),
    hint("tcp_keepalives_idle", "0", whole(Seconds, 0, 2147483647)),
    hint("tcp_keepalives_interval", "0", whole(Seconds, 0, 2147483647)),
    hint("tcp_user_timeout", "0", whole(Millis, 0, 2147483647)),
    hint("temp_buffers", "8MB", whole(Pages, 100, 1073741823)),
    hint("temp_file_limit", "-1", whole(Kilobytes, -1, 2147483647)),
    hint("track_activities", "on", Switch),
    hint("track_counts", "on", Switch),
    hint("track_functions", "none", OneOf(&["none", "pl", "all"])),
    hint("track_io_timing", "off", Switch),
    hint("update_process_title", "on", Switch),
    hint("wal_skip_threshold", "2MB", whole(Kilobytes, 0, 2147483647)),
    hint("work_mem", "4MB", whole(Kilobytes, 64, 2147483647)),
];

/// The value as it is shown.
///
/// # Errors
/// 22023.
pub(in crate::session) fn normal(name: &str, text: &str, kind: Kind) -> Result<String> {
    match kind {
        Free => Ok(text.to_owned()),
        Switch => switch(name, text).map(|on| if on { "on" } else { "off" }.to_owned()),
        OneOf(allowed) => {
            match allowed.iter().find(|one| one.eq_ignore_ascii_case(text)) {
                Some(one) => Ok((*one).to_owned()),
                None => Err(refuse(name, text)
                    .with_hint(format!("Available values: {}.", allowed.join(", ")))),
            }
        }
        Kind::Whole(unit, min, max) => {
            let value = read(name, text, unit)?;
            if !(min..=max).contains(&value) {
                let name_of = unit.name();
                return Err(outside(name, &format!("{value}{name_of}"), min, max));
            }
            Ok(show(value, unit))
        }
        Real(min, max) => {
            let value: f64 = text.trim().parse().map_err(|_| refuse(name, text))?;
            if !(min..=max).contains(&value) {
                return Err(outside(name, &general(value), general(min), general(max)));
            }
            Ok(general(value))
        }
    }
}

fn outside(
    name: &str,
    value: &str,
    min: impl std::fmt::Display,
    max: impl std::fmt::Display,
) -> Error {
    super::invalid(format!(
        "{value} is outside the valid range for parameter \"{name}\" ({min} .. {max})"
    ))
}

/// Any beginning of a word that only one has, as in PostgreSQL.
///
/// # Errors
/// 22023.
pub(in crate::session) fn switch(name: &str, text: &str) -> Result<bool> {
    let lower = text.to_ascii_lowercase();
    let begins = |word: &str, least: usize| lower.len() >= least && word.starts_with(&lower);
    let on = begins("true", 1) || begins("yes", 1) || lower == "on" || lower == "1";
    let off = begins("false", 1) || begins("no", 1) || begins("off", 2) || lower == "0";
    match (on, off) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(super::invalid(format!(
            "parameter \"{name}\" requires a Boolean value"
        ))),
    }
}

/// A whole number, perhaps with a unit, in `unit`s.
fn read(name: &str, text: &str, unit: Unit) -> Result<i64> {
    let (units, own) = unit.scale();
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c));
    let (number, written) = trimmed.split_at(end.unwrap_or(trimmed.len()));
    let number: f64 = number.parse().map_err(|_| refuse(name, text))?;
    let scaled = match written.trim() {
        "" => number,
        written => match units.iter().find(|(known, _)| *known == written) {
            Some((_, size)) => number * *size as f64 / own as f64,
            None if units.is_empty() => return Err(refuse(name, text)),
            None => {
                return Err(refuse(name, text).with_hint(format!(
                    "Valid units for this parameter are {}.",
                    listed(units)
                )));
            }
        },
    };
    let rounded = scaled.round_ties_even();
    if rounded.abs() > f64::from(i32::MAX) {
        return Err(refuse(name, text).with_hint("Value exceeds integer range."));
    }
    Ok(rounded as i64)
}

fn listed(units: &[(&str, i64)]) -> String {
    let mut names: Vec<String> = units
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let last = names.pop().unwrap_or_default();
    format!("{}, and {last}", names.join(", "))
}

/// In the largest unit in which it is a whole number; zero and less are not lengths.
fn show(value: i64, unit: Unit) -> String {
    let (units, own) = unit.scale();
    let smallest = value.checked_mul(own).filter(|total| *total > 0);
    let fitting = smallest.and_then(|total| {
        let found = units.iter().rev().find(|(_, size)| total % size == 0);
        found.map(|(name, size)| format!("{}{name}", total / size))
    });
    fitting.unwrap_or_else(|| value.to_string())
}

/// As C's `%g` writes it: six digits that count, and an exponent where there are more places.
fn general(value: f64) -> String {
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |digits: &str| match digits.contains('.') {
        true => digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        false => digits.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        return short(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", short(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_back_as_postgres_shows_it() {
        for (text, kind, shown) in [
            ("1.5MB", whole(Kilobytes, 64, i64::MAX), "1536kB"),
            ("4096", whole(Kilobytes, 64, i64::MAX), "4MB"),
            ("8MB", whole(Pages, 0, i64::MAX), "8MB"),
            ("0", whole(Pages, 0, i64::MAX), "0"),
            ("-1", whole(Millis, -1, i64::MAX), "-1"),
            ("90s", whole(Millis, 0, i64::MAX), "90s"),
            ("1.50", Real(1.0, 1000.0), "1.5"),
            ("1e-10", Real(0.0, f64::MAX), "1e-10"),
            ("1e15", Real(0.0, f64::MAX), "1e+15"),
            ("100000", Real(0.0, f64::MAX), "100000"),
            ("0.0025", Real(0.0, f64::MAX), "0.0025"),
            ("tr", Switch, "on"),
            ("OF", Switch, "off"),
            ("Auto", OneOf(&["auto", "never"]), "auto"),
        ] {
            assert_eq!(normal("p", text, kind).unwrap(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_in_postgres_words() {
        let message = |text, kind| normal("p", text, kind).unwrap_err().message().to_owned();
        assert_eq!(
            message("1kB", whole(Kilobytes, 64, 100)),
            "1 kB is outside the valid range for parameter \"p\" (64 .. 100)"
        );
        assert_eq!(
            message("-1", Real(0.0, f64::MAX)),
            "-1 is outside the valid range for parameter \"p\" (0 .. 1.79769e+308)"
        );
        assert_eq!(
            message("o", Switch),
            "parameter \"p\" requires a Boolean value"
        );
        assert_eq!(
            message("3MB", whole(Count, 0, 9)),
            "invalid value for parameter \"p\": \"3MB\""
        );
    }

    #[test]
    fn every_default_is_a_value() {
        for setting in ADVICE {
            let shown = normal(setting.name(), setting.default(), setting.kind().unwrap()).unwrap();
            assert_eq!(shown, setting.default(), "{}", setting.name());
        }
    }
}
