//! Ignored settings: those of PostgreSQL that advise its planner, size its memory or speak of its servers.
//!
//! Clients, dumps and scripts set them, and nothing here listens: plans are chosen otherwise, memory
//! is the ledger's. They are taken within PostgreSQL's limits and read back as it shows them, so that such a
//! client comes through; none of them changes what a statement means. Those of PostgreSQL's settings
//! that would are in `rule`, or unknown.

use super::rule::Rule::{Free, Named, Real, Switch, Whole};
use super::rule::{Setting, setting as hint};
use super::value::Unit::{Count, Kilobytes, Millis, Pages, Seconds};

/// All of them, by name, with the defaults of PostgreSQL 15.
#[rustfmt::skip]
pub(super) const IGNORED: &[Setting] = &[
    hint("check_function_bodies", "on", Switch),
    hint("client_connection_check_interval", "0", Whole(Millis, 0, 2147483647)),
    hint("compute_query_id", "auto", Named(&["auto", "regress", "on", "off"])),
    hint("constraint_exclusion", "partition", Named(&["partition", "on", "off"])),
    hint("cpu_index_tuple_cost", "0.005", Real(0.0, f64::MAX)),
    hint("cpu_operator_cost", "0.0025", Real(0.0, f64::MAX)),
    hint("cpu_tuple_cost", "0.01", Real(0.0, f64::MAX)),
    hint("cursor_tuple_fraction", "0.1", Real(0.0, 1.0)),
    hint("deadlock_timeout", "1s", Whole(Millis, 1, 2147483647)),
    hint("debug_pretty_print", "on", Switch),
    hint("debug_print_parse", "off", Switch),
    hint("debug_print_plan", "off", Switch),
    hint("debug_print_rewritten", "off", Switch),
    hint("default_statistics_target", "100", Whole(Count, 1, 10000)),
    hint("default_tablespace", "", Free),
    hint("default_toast_compression", "pglz", Named(&["pglz", "lz4"])),
    hint("default_transaction_deferrable", "off", Switch),
    hint("effective_cache_size", "4GB", Whole(Pages, 1, 2147483647)),
    hint("effective_io_concurrency", "1", Whole(Count, 0, 1000)),
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
    hint("force_parallel_mode", "off", Named(&["off", "on", "regress"])),
    hint("from_collapse_limit", "8", Whole(Count, 1, 2147483647)),
    hint("geqo", "on", Switch),
    hint("geqo_effort", "5", Whole(Count, 1, 10)),
    hint("geqo_generations", "0", Whole(Count, 0, 2147483647)),
    hint("geqo_pool_size", "0", Whole(Count, 0, 2147483647)),
    hint("geqo_seed", "0", Real(0.0, 1.0)),
    hint("geqo_selection_bias", "2", Real(1.5, 2.0)),
    hint("geqo_threshold", "12", Whole(Count, 2, 2147483647)),
    hint("gin_fuzzy_search_limit", "0", Whole(Count, 0, 2147483647)),
    hint("gin_pending_list_limit", "4MB", Whole(Kilobytes, 64, 2147483647)),
    hint("hash_mem_multiplier", "2", Real(1.0, 1000.0)),
    hint("jit", "on", Switch),
    hint("jit_above_cost", "100000", Real(-1.0, f64::MAX)),
    hint("jit_expressions", "on", Switch),
    hint("jit_inline_above_cost", "500000", Real(-1.0, f64::MAX)),
    hint("jit_optimize_above_cost", "500000", Real(-1.0, f64::MAX)),
    hint("jit_tuple_deforming", "on", Switch),
    hint("join_collapse_limit", "8", Whole(Count, 1, 2147483647)),
    hint("log_duration", "off", Switch),
    hint("log_min_duration_statement", "-1", Whole(Millis, -1, 2147483647)),
    hint("log_min_error_statement", "error", Named(&["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"])),
    hint("log_min_messages", "warning", Named(&["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"])),
    hint("log_statement", "none", Named(&["none", "ddl", "mod", "all"])),
    hint("log_statement_stats", "off", Switch),
    hint("logical_decoding_work_mem", "64MB", Whole(Kilobytes, 64, 2147483647)),
    hint("maintenance_work_mem", "64MB", Whole(Kilobytes, 1024, 2147483647)),
    hint("max_parallel_maintenance_workers", "2", Whole(Count, 0, 1024)),
    hint("max_parallel_workers", "8", Whole(Count, 0, 1024)),
    hint("max_parallel_workers_per_gather", "2", Whole(Count, 0, 1024)),
    hint("max_stack_depth", "2MB", Whole(Kilobytes, 100, 2147483647)),
    hint("min_parallel_index_scan_size", "512kB", Whole(Pages, 0, 715827882)),
    hint("min_parallel_table_scan_size", "8MB", Whole(Pages, 0, 715827882)),
    hint("parallel_leader_participation", "on", Switch),
    hint("parallel_setup_cost", "1000", Real(0.0, f64::MAX)),
    hint("parallel_tuple_cost", "0.1", Real(0.0, f64::MAX)),
    hint("plan_cache_mode", "auto", Named(&["auto", "force_generic_plan", "force_custom_plan"])),
    hint("quote_all_identifiers", "off", Switch),
    hint("random_page_cost", "4", Real(0.0, f64::MAX)),
    hint("recursive_worktable_factor", "10", Real(0.001, 1e6)),
    hint("restrict_nonsystem_relation_kind", "", Free),
    hint("row_security", "on", Switch),
    hint("seq_page_cost", "1", Real(0.0, f64::MAX)),
    hint("stats_fetch_consistency", "cache", Named(&["none", "cache", "snapshot"])),
    hint("synchronize_seqscans", "on", Switch),
    hint("tcp_keepalives_count", "0", Whole(Count, 0, 2147483647)),
    hint("tcp_keepalives_idle", "0", Whole(Seconds, 0, 2147483647)),
    hint("tcp_keepalives_interval", "0", Whole(Seconds, 0, 2147483647)),
    hint("tcp_user_timeout", "0", Whole(Millis, 0, 2147483647)),
    hint("temp_buffers", "8MB", Whole(Pages, 100, 1073741823)),
    hint("temp_file_limit", "-1", Whole(Kilobytes, -1, 2147483647)),
    hint("track_activities", "on", Switch),
    hint("track_counts", "on", Switch),
    hint("track_functions", "none", Named(&["none", "pl", "all"])),
    hint("track_io_timing", "off", Switch),
    hint("update_process_title", "on", Switch),
    hint("wal_skip_threshold", "2MB", Whole(Kilobytes, 0, 2147483647)),
    hint("work_mem", "4MB", Whole(Kilobytes, 64, 2147483647)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::settings::rule::setting;

    #[test]
    fn a_value_reads_back_as_postgres_shows_it() {
        for (text, kind, shown) in [
            ("1.5MB", Whole(Kilobytes, 64, i64::MAX), "1536kB"),
            ("4096", Whole(Kilobytes, 64, i64::MAX), "4MB"),
            ("8MB", Whole(Pages, 0, i64::MAX), "8MB"),
            ("0", Whole(Pages, 0, i64::MAX), "0"),
            ("-1", Whole(Millis, -1, i64::MAX), "-1"),
            ("90s", Whole(Millis, 0, i64::MAX), "90s"),
            ("1.50", Real(1.0, 1000.0), "1.5"),
            ("1e-10", Real(0.0, f64::MAX), "1e-10"),
            ("1e15", Real(0.0, f64::MAX), "1e+15"),
            ("100000", Real(0.0, f64::MAX), "100000"),
            ("0.0025", Real(0.0, f64::MAX), "0.0025"),
            ("tr", Switch, "on"),
            ("OF", Switch, "off"),
            ("Auto", Named(&["auto", "never"]), "auto"),
        ] {
            assert_eq!(
                setting("p", "", kind).normal(text, "").unwrap(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_value_is_refused_in_postgres_words() {
        let message = |text, kind| {
            setting("p", "", kind)
                .normal(text, "")
                .unwrap_err()
                .message()
                .to_owned()
        };
        assert_eq!(
            message("1kB", Whole(Kilobytes, 64, 100)),
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
            message("3MB", Whole(Count, 0, 9)),
            "invalid value for parameter \"p\": \"3MB\""
        );
    }

    #[test]
    fn every_default_is_a_value() {
        for setting in IGNORED {
            let shown = setting.normal(setting.default, "").unwrap();
            assert_eq!(shown, setting.default, "{}", setting.name);
        }
    }
}
