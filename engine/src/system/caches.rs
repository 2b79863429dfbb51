//! Tables that stay within bounds by giving up rows.

use super::table::system_table;

system_table! {
    /// Caches: their bounds, what they hold, and how often look-ups by key have found a row.
    CACHES = "remora_caches", NOTHING;
    |context| let names = context.newest();
    for (table, eviction, cache) in names.tables().filter_map(|table| {
        Some((table, table.def.eviction.as_deref()?, table.rows.cache()?))
    });
    let (hits, misses) = cache.lookups();
    let lookups = hits + misses;
    let measured = context.view.measure_cache(table, cache);
    "table_name" Text = &table.def.name,
    "eviction" Text = eviction.policy.name(),
    "max_bytes" BigInt = eviction.max_bytes,
    "max_rows" BigInt = eviction.max_rows,
    "eviction_priority" Integer = eviction.priority,
    "rows" BigInt = cache.rows(),
    "bytes" BigInt = measured.charged,
    "live_bytes" BigInt = measured.live,
    "lookups" BigInt = lookups,
    "hits" BigInt = hits,
    "misses" BigInt = misses,
    "hit_ratio" Double = (lookups > 0).then(|| hits as f64 / lookups as f64),
    "evictions" BigInt = cache.evicted(),
}
