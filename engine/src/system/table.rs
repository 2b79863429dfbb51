//! System tables: what the engine knows of itself, to be read like any table.
//!
//! They have no storage: their rows are made when a statement reads them (`exec`), of what is true
//! then and not of what the statement's snapshot shows. A name is looked for in the catalog first.
//! Their names cannot be given to new tables.

use super::pg_table::PgTable;
use remora_storage::{DataType, SequenceId};

/// A table that only the engine writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SystemTable {
    /// Who holds how much memory.
    Memory,
    /// What tables consist of.
    Tables,
    /// How durable commits are, and what is at risk.
    Durability,
    /// What indexes consist of.
    Indexes,
    /// What the size classes of the pool hold.
    Pool,
    /// How near the memory budget is.
    Pressure,
    /// How that has changed.
    PressureHistory,
    /// Sequences and where they stand.
    Sequences,
    /// One sequence, as a table of one row.
    Sequence(SequenceId),
    /// Who runs what, and keeps which old states of rows from being freed.
    Transactions,
    /// How the plan caches of sessions do.
    PlanCache,
    /// Who stood in whose way.
    Conflicts,
    /// What opening the database found and did.
    Recovery,
    /// What it found damaged.
    RecoveryLosses,
    /// The checkpoints that are kept.
    Checkpoints,
    /// The cursors of the session.
    Cursors,
    /// Statements that the session knows by name.
    PreparedStatements,
    /// One of `pg_catalog`.
    Pg(PgTable),
}

/// Name and type of a column.
pub(crate) type Column = (&'static str, DataType);

use DataType::{BigInt, Boolean, Double, Integer, Text, TimestampTz};

impl SystemTable {
    /// All of them but those of [`PgTable`], by name.
    pub(crate) const ALL: [Self; 16] = [
        Self::Sequences,
        Self::Checkpoints,
        Self::Conflicts,
        Self::Cursors,
        Self::PreparedStatements,
        Self::Durability,
        Self::Indexes,
        Self::Memory,
        Self::PlanCache,
        Self::Pool,
        Self::Pressure,
        Self::PressureHistory,
        Self::Recovery,
        Self::RecoveryLosses,
        Self::Tables,
        Self::Transactions,
    ];

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let pg = PgTable::ALL.into_iter().map(Self::Pg);
        let mut all = Self::ALL.into_iter().chain(pg);
        all.find(|table| table.name() == name)
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "remora_memory",
            Self::Tables => "remora_tables",
            Self::Durability => "remora_durability",
            Self::Indexes => "remora_indexes",
            Self::Pool => "remora_pool",
            Self::Pressure => "remora_pressure",
            Self::PressureHistory => "remora_pressure_history",
            Self::Sequences => "pg_sequences",
            Self::Sequence(_) => "sequence",
            Self::Transactions => "remora_transactions",
            Self::PlanCache => "remora_plan_cache",
            Self::Conflicts => "remora_conflicts",
            Self::Recovery => "remora_recovery",
            Self::RecoveryLosses => "remora_recovery_losses",
            Self::Checkpoints => "remora_checkpoints",
            Self::Cursors => "pg_cursors",
            Self::PreparedStatements => "pg_prepared_statements",
            Self::Pg(table) => table.name(),
        }
    }

    /// Its columns.
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Self::Pg(table) => table.columns(),
            Self::Memory => &[("owner", Text), ("bytes", BigInt), ("share", Double)],
            Self::Tables => &[
                ("name", Text),
                ("live_rows", BigInt),
                ("dead_rows", BigInt),
                ("hot_blocks", BigInt),
                ("frozen_blocks", BigInt),
                ("bytes", BigInt),
            ],
            Self::Durability => &[
                ("level", Text),
                ("loss_window_ms", Double),
                ("committed_timestamp", BigInt),
                ("committed_lsn", BigInt),
                ("durable_timestamp", BigInt),
                ("durable_lsn", BigInt),
                ("transactions_at_risk", BigInt),
                ("bytes_at_risk", BigInt),
                ("ms_at_risk", Double),
                ("ms_at_risk_max", Double),
                ("syncs", BigInt),
                ("sync_ms", Double),
                ("log", Text),
                ("failure", Text),
            ],
            Self::Indexes => &[
                ("name", Text),
                ("table_name", Text),
                ("kind", Text),
                ("is_unique", Boolean),
                ("entries", BigInt),
                ("bytes", BigInt),
            ],
            Self::Pool => &[
                ("slot_bytes", BigInt),
                ("slabs", BigInt),
                ("slots", BigInt),
                ("slots_used", BigInt),
                ("slots_cached", BigInt),
                ("bytes_used", BigInt),
                ("bytes_wasted", BigInt),
                ("cache_hits", BigInt),
                ("cache_misses", BigInt),
            ],
            Self::Pressure => &[
                ("level", Text),
                ("percent", Integer),
                ("from_bytes", BigInt),
                ("is_current", Boolean),
                ("since", TimestampTz),
            ],
            Self::PressureHistory => &[
                ("at", TimestampTz),
                ("from_level", Text),
                ("to_level", Text),
                ("used", BigInt),
                ("limit_bytes", BigInt),
            ],
            Self::Sequences => &[
                ("schemaname", Text),
                ("sequencename", Text),
                ("sequenceowner", Text),
                ("data_type", Text),
                ("start_value", BigInt),
                ("min_value", BigInt),
                ("max_value", BigInt),
                ("increment_by", BigInt),
                ("cycle", Boolean),
                ("cache_size", BigInt),
                ("last_value", BigInt),
            ],
            Self::Cursors => &[
                ("name", Text),
                ("statement", Text),
                ("is_holdable", Boolean),
                ("is_binary", Boolean),
                ("is_scrollable", Boolean),
                ("creation_time", TimestampTz),
            ],
            Self::PreparedStatements => &[
                ("name", Text),
                ("statement", Text),
                ("prepare_time", TimestampTz),
                ("parameter_types", Text),
                ("from_sql", Boolean),
                ("generic_plans", BigInt),
                ("custom_plans", BigInt),
            ],
            Self::Sequence(_) => &[
                ("last_value", BigInt),
                ("log_cnt", BigInt),
                ("is_called", Boolean),
            ],
            Self::Transactions => &[
                ("transaction_id", BigInt),
                ("session_id", BigInt),
                ("state", Text),
                ("level", Text),
                ("read_only", Boolean),
                ("started", TimestampTz),
                ("age_seconds", Double),
                ("snapshot", BigInt),
                ("commits_since", BigInt),
                ("holders", BigInt),
                ("statements", BigInt),
                ("rows_written", BigInt),
                ("rows_held", BigInt),
                ("rows_pinned", BigInt),
                ("bytes_pinned", BigInt),
                ("waits_for", Text),
                ("statement", Text),
            ],
            Self::PlanCache => &[
                ("session_id", BigInt),
                ("hits", BigInt),
                ("misses", BigInt),
                ("hit_ratio", Double),
                ("entries", BigInt),
                ("bytes", BigInt),
            ],
            Self::Conflicts => &[
                ("at", TimestampTz),
                ("transaction_id", BigInt),
                ("session_id", BigInt),
                ("statement", Text),
                ("level", Text),
                ("rule", Text),
                ("table_name", Text),
                ("key", Text),
                ("rival_id", BigInt),
                ("rival_started", TimestampTz),
                ("rival_statement", Text),
                ("rival_has_committed", Boolean),
                ("is_retried", Boolean),
                ("tries", BigInt),
            ],
            Self::Recovery => &[
                ("created", Boolean),
                ("clean", Boolean),
                ("mode", Text),
                ("checkpoint", BigInt),
                ("image_bytes", BigInt),
                ("rows_loaded", BigInt),
                ("images_ms", Double),
                ("frames_replayed", BigInt),
                ("changes_replayed", BigInt),
                ("bytes_replayed", BigInt),
                ("log_ms", Double),
                ("index_entries", BigInt),
                ("indexes_ms", Double),
                ("bytes_dropped", BigInt),
                ("dropped_because", Text),
                ("losses", BigInt),
                ("quarantine", Text),
                ("disk_full", Text),
            ],
            Self::RecoveryLosses => &[
                ("file", Text),
                ("offset", BigInt),
                ("table_name", Text),
                ("block", BigInt),
                ("rows", BigInt),
                ("from_position", BigInt),
                ("to_position", BigInt),
                ("changes", BigInt),
                ("because", Text),
            ],
            Self::Checkpoints => &[
                ("number", BigInt),
                ("time", TimestampTz),
                ("reason", Text),
                ("tables", BigInt),
                ("rows", BigInt),
                ("bytes", BigInt),
                ("timestamp", BigInt),
                ("timeline", BigInt),
                ("restored_from", BigInt),
                ("is_current", Boolean),
                ("damage", Text),
            ],
        }
    }
}
