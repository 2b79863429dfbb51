//! Sequences: their rules, and where they stand.

use super::table::system_table;
use crate::function::{pg_type, schema_name, sequence_oid};

system_table! {
    /// Rule and last number of each sequence.
    SEQUENCES = "pg_sequences", NOTHING;
    |context| let names = context.newest(); for entry in names.sequences();
    let (def, rule) = (&entry.def, &entry.def.rule);
    let position = entry.counter.state().position;
    "schemaname" Text = schema_name(&names.catalog, def.schema),
    "sequencename" Text = &def.name,
    "sequenceowner" Text = "remora",
    "data_type" Text = def.data_type.to_string(),
    "start_value" BigInt = def.start,
    "min_value" BigInt = rule.min,
    "max_value" BigInt = rule.max,
    "increment_by" BigInt = rule.increment,
    "cycle" Boolean = rule.cycle,
    "cache_size" BigInt = def.cache,
    "last_value" BigInt = position.is_called.then_some(position.last),
}

system_table! {
    /// One sequence that the statement sees, as a table of one row.
    ONE = "sequence", CATALOG;
    |context|
    let scope = context.eval.statement.as_ref();
    let entry = scope.and_then(|scope| scope.catalog().sequence_by_id(context.sequence?));
    for entry in entry.into_iter();
    let state = entry.counter.state();
    "last_value" BigInt = state.position.last,
    "log_cnt" BigInt = state.ahead,
    "is_called" Boolean = state.position.is_called,
}

system_table! {
    SEQUENCE = "pg_sequence", CATALOG;
    |context| let names = context.names(); for entry in names.sequences();
    let def = &entry.def;
    "seqrelid" BigInt = sequence_oid(def.id),
    "seqtypid" BigInt = pg_type(def.data_type).map_or(0, |known| known.oid),
    "seqstart" BigInt = def.start,
    "seqincrement" BigInt = def.rule.increment,
    "seqmax" BigInt = def.rule.max,
    "seqmin" BigInt = def.rule.min,
    "seqcache" BigInt = def.cache,
    "seqcycle" Boolean = def.rule.cycle,
    "seqidentity" Boolean = names.catalog.owner_of(def).is_some_and(|(_, column)| column.identity.is_some()),
}
