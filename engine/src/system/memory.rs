//! Memory: who holds how much, the size classes of the pool, and the pressure on the budget.

use super::table::system_table;
use remora_storage::pool::PressureLevel;

system_table! {
    /// Bytes that each owner has reserved.
    MEMORY = "remora_memory", NOTHING;
    |context| let ledger = context.core().ledger(); for entry in ledger.entries();
    "owner" Text = entry.owner.name(),
    "bytes" BigInt = entry.bytes,
    "share" Double = entry.bytes as f64 / ledger.budget() as f64,
}

system_table! {
    /// Size classes of the pool.
    POOL = "remora_pool", NOTHING;
    |context| for class in context.core().pool().stats().classes;
    "slot_bytes" BigInt = class.slot_bytes,
    "slabs" BigInt = class.slabs,
    "slots" BigInt = class.slots,
    "slots_used" BigInt = class.slots_used,
    "slots_cached" BigInt = class.slots_cached,
    "bytes_used" BigInt = class.bytes_used(),
    "bytes_wasted" BigInt = class.bytes_wasted(),
    "cache_hits" BigInt = class.cache_hits,
    "cache_misses" BigInt = class.cache_misses,
}

system_table! {
    /// Levels of pressure: where each begins, and which is the current one.
    PRESSURE = "remora_pressure", NOTHING;
    |context|
    let ledger = context.core().ledger();
    let pressure = ledger.pressure();
    let current = pressure.level();
    let changed = pressure.history().last().map(|change| change.at);
    let limit = ledger.budget().saturating_sub(ledger.emergency());
    for level in PressureLevel::ALL;
    let percent = (level as usize).checked_sub(1).map(|at| pressure.thresholds().percent()[at]);
    "level" Text = level.name(),
    "percent" Integer = i32::from(percent.unwrap_or(0)),
    "from_bytes" BigInt = pressure.thresholds().begin(level, limit),
    "is_current" Boolean = level == current,
    "since" TimestampTz = changed.filter(|_| level == current),
}

system_table! {
    /// Changes of the level of pressure.
    PRESSURE_HISTORY = "remora_pressure_history", NOTHING;
    |context| for change in context.core().ledger().pressure().history();
    "at" TimestampTz = change.at,
    "from_level" Text = change.from.name(),
    "to_level" Text = change.to.name(),
    "used" BigInt = change.used,
    "limit_bytes" BigInt = change.limit,
}
