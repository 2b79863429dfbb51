//! Tables and indexes: how much they hold, and in what.

use super::table::system_table;
use remora_storage::catalog::IndexKind;

system_table! {
    /// Rows and blocks of each table.
    TABLES = "remora_tables", NOTHING;
    |context| for entry in context.newest().tables();
    let stats = context.view.table_stats(entry);
    "name" Text = &entry.def.name,
    "live_rows" BigInt = stats.rows,
    "dead_rows" BigInt = stats.dead,
    "hot_blocks" BigInt = stats.blocks_hot,
    "frozen_blocks" BigInt = stats.blocks_frozen,
    "bytes" BigInt = stats.bytes,
}

system_table! {
    /// Entries and bytes of each index.
    INDEXES = "remora_indexes", NOTHING;
    |context| let names = context.newest();
    for (table, index) in names.tables().flat_map(|table| table.indexes.iter().map(move |index| (table, index)));
    "name" Text = &index.def.name,
    "table_name" Text = &table.def.name,
    "kind" Text = match index.def.kind {
        IndexKind::Ordered => "btree",
        IndexKind::Hash => "hash",
    },
    "is_unique" Boolean = index.def.is_unique(),
    "entries" BigInt = index.index.len() as u64,
    "bytes" BigInt = index.bytes(),
}
