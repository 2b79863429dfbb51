//! What DDL does to sequences, and to what goes with them.

use crate::bind::refuse_users;
use crate::error::Result;
use crate::exec::Transaction;
use crate::exec::alter_sequence;
use crate::function::RelationName;
use crate::plan::sequence::{ColumnSequence, SequenceChange, default_text};
use remora_storage::catalog::{
    ColumnDef, ColumnDefault, SequenceDef, SequenceEntry, TableDef, TableEntry,
};
use remora_storage::{SequenceId, TableId};
use std::sync::Arc;

/// Creates a table with the sequences of its columns.
pub(in crate::session) fn create_table(
    tx: &mut Transaction,
    table: &TableDef,
    sequences: &[ColumnSequence],
) -> Result<TableId> {
    let mut table = table.clone();
    let mut made = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let id = tx.create_sequence(sequence.def.clone())?;
        let column = &mut table.columns[sequence.position];
        let name = RelationName {
            schema: None,
            name: sequence.def.name.clone(),
        };
        column.default = Some(default_text(&name));
        column.sequences = vec![id];
        column.identity = sequence.identity;
        made.push((id, column.id, &sequence.def));
    }
    let table = tx.create_table(table)?;
    for (id, column, def) in made {
        let owned = SequenceDef {
            id,
            owner: Some((table, column)),
            ..def.clone()
        };
        tx.alter_sequence(owned, None)?;
    }
    Ok(table)
}

fn entry(tx: &Transaction, id: SequenceId) -> Result<Arc<SequenceEntry>> {
    let entry = tx.catalog().sequence_by_id(id).cloned();
    entry.ok_or_else(|| remora_storage::Error::UndefinedRelation(id.to_string()).into())
}

/// Lets sequences begin again.
pub(in crate::session) fn restart(tx: &mut Transaction, ids: &[SequenceId]) -> Result<()> {
    let change = SequenceChange {
        restart: Some(None),
        ..SequenceChange::default()
    };
    ids.iter()
        .try_for_each(|id| alter_sequence(tx, *id, &change))
}

/// ALTER SEQUENCE .. RENAME TO
pub(in crate::session) fn rename(tx: &mut Transaction, id: SequenceId, to: &str) -> Result<()> {
    let renamed = SequenceDef {
        name: to.to_owned(),
        ..entry(tx, id)?.def.clone()
    };
    Ok(tx.alter_sequence(renamed, None)?)
}

/// DROP SEQUENCE; where it cascades, defaults go with it.
pub(in crate::session) fn drop(
    tx: &mut Transaction,
    ids: &[SequenceId],
    cascade: bool,
) -> Result<()> {
    for id in ids {
        let catalog = Arc::clone(tx.catalog());
        let name = &entry(tx, *id)?.def.name;
        if !cascade {
            refuse_users(&catalog, *id, &format!("sequence {name}"), |_, _| true)?;
        }
        for (table, column) in catalog.users_of(*id) {
            tx.set_default(table.def.id, column.id, ColumnDefault::default())?;
        }
        tx.drop_sequence(*id)?;
    }
    Ok(())
}

/// Drops the sequences that go with tables, which are dropped next.
pub(in crate::session) fn drop_owned(tx: &mut Transaction, tables: &[TableId]) -> Result<()> {
    for table in tables {
        let catalog = Arc::clone(tx.catalog());
        for sequence in catalog.sequences_of(*table) {
            let name = catalog.table_by_id(*table).map_or("", |t| &t.def.name);
            let stays = |user: &TableEntry, _: &ColumnDef| !tables.contains(&user.def.id);
            refuse_users(&catalog, sequence.def.id, &format!("table {name}"), stays)?;
            tx.drop_sequence(sequence.def.id)?;
        }
    }
    Ok(())
}
