//! Columns that get a sequence of their own by ALTER TABLE: `ADD a SERIAL`, `ALTER a ADD GENERATED .. AS IDENTITY`.
//!
//! The sequence comes before the table is another, since its id stands in the column's definition, and belongs to
//! the column as soon as that is there. Rows of a column that comes with it get numbers as they are stored.

use crate::error::Result;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::function::RelationName;
use crate::plan::sequence::default_text;
use crate::plan::structure::{AlterTable, NumberedColumn};
use remora_storage::catalog::{SequenceDef, TableDef};
use remora_storage::value::ColumnBuilder;
use remora_storage::{DataType, SequenceId, Value};
use std::sync::Arc;

/// Creates the sequences.
pub(in crate::exec) fn make(
    columns: &[NumberedColumn],
    tx: &mut Transaction,
) -> Result<Vec<SequenceId>> {
    let made = columns.iter().map(|column| {
        let def = column.sequence.def.clone();
        Ok(tx.create_sequence(def)?)
    });
    made.collect()
}

/// What the table will be, with its columns' sequences.
pub(in crate::exec) fn with_sequences(plan: &AlterTable, made: &[SequenceId]) -> TableDef {
    let mut table = plan.def.clone();
    for (numbered, id) in plan.numbered.iter().zip(made) {
        let Some(position) = table.position(numbered.column) else {
            continue;
        };
        let column = &mut table.columns[position];
        let name = RelationName {
            schema: None,
            name: numbered.sequence.def.name.clone(),
        };
        column.default = Some(default_text(&name));
        column.sequences = vec![*id];
        column.identity = numbered.sequence.identity;
    }
    table
}

/// Makes the sequences those of their columns, which are there by now.
pub(in crate::exec) fn own(
    plan: &AlterTable,
    made: &[SequenceId],
    tx: &mut Transaction,
) -> Result<()> {
    for (numbered, id) in plan.numbered.iter().zip(made) {
        let owned = SequenceDef {
            id: *id,
            owner: Some((plan.def.id, numbered.column)),
            ..numbered.sequence.def.clone()
        };
        tx.alter_sequence(owned, None)?;
    }
    Ok(())
}

/// Numbers the rows of a batch.
///
/// # Errors
/// 2200H
pub(in crate::exec) fn fill(
    plan: &AlterTable,
    made: &[SequenceId],
    batch: &mut Batch,
    tx: &Transaction,
) -> Result<()> {
    for (numbered, id) in plan.numbered.iter().zip(made) {
        let position = plan.def.position(numbered.column);
        let Some(position) = position.filter(|_| numbered.fills) else {
            continue;
        };
        let sequence = tx.catalog().sequence_by_id(*id).map(Arc::clone);
        let sequence = sequence
            .ok_or_else(|| sql_error!(INTERNAL_ERROR, "a sequence that was made is not there"))?;
        let data_type = plan.def.columns[position].data_type;
        let mut builder = ColumnBuilder::new(data_type, batch.rows);
        for _ in 0..batch.rows {
            let number = tx.core().next_value(&sequence)?;
            builder.push(of_type(number, data_type).as_ref());
        }
        batch.columns[position] = builder.finish();
    }
    Ok(())
}

/// A number of a sequence as a value of its column, whose type bounds it.
fn of_type(number: i64, data_type: DataType) -> Value {
    match data_type {
        DataType::SmallInt => i16::try_from(number).map_or(Value::Null, Value::SmallInt),
        DataType::Integer => i32::try_from(number).map_or(Value::Null, Value::Integer),
        _ => Value::BigInt(number),
    }
}
