//! Whether what was read fits the state that it is to be applied to.
//!
//! A checksum proves that bytes are what was written, not who wrote them. The floors below take
//! definitions and values on trust and would panic on impossible ones; so recovery looks first.

use crate::catalog::{
    Catalog, CatalogChange, ForeignKeyDef, IndexDef, SequenceDef, SequencePosition, TableDef,
    TableEntry,
};
use crate::ids::{BlockNo, ColumnId, RowId, SchemaId, SequenceId, Slot, TableId};
use crate::index::ROWS_MAX;
use crate::limits::{COLUMNS_MAX, NUMERIC_DIGITS_MAX};
use crate::value::{DataType, NumericKind, Value, ValueRef};
use std::collections::HashSet;
use std::sync::Arc;

/// Why something does not fit.
pub(super) type Misfit = String;

/// The table, for a row that may be in it.
pub(super) fn table(catalog: &Catalog, id: TableId, row: RowId) -> Result<&TableDef, Misfit> {
    self::row(catalog.table_by_id(id), id, row)
}

/// The same where somebody has looked for the table.
pub(super) fn row(
    table: Option<&Arc<TableEntry>>,
    id: TableId,
    row: RowId,
) -> Result<&TableDef, Misfit> {
    if row.0 >= ROWS_MAX {
        return Err(format!("a row of number {}", row.0));
    }
    let table = table.ok_or_else(|| format!("a row of table {id}, which does not exist"))?;
    Ok(&table.def)
}

/// Whether a table whose rows end there can have that block.
pub(super) fn block(end: RowId, block: BlockNo) -> Result<(), Misfit> {
    match RowId::new(block, Slot(0)) < end {
        true => Ok(()),
        false => Err(format!("block {block} of a table whose rows end at {end}")),
    }
}

/// Whether these are values of the table's columns.
pub(super) fn values(table: &TableDef, values: &[(ColumnId, Value)]) -> Result<(), Misfit> {
    let mut values = values.iter();
    values.try_for_each(|(id, value)| self::value(table, *id, &value.as_ref()))
}

/// Whether this is a value of the table's column.
pub(super) fn value(table: &TableDef, id: ColumnId, value: &ValueRef<'_>) -> Result<(), Misfit> {
    let at = table.position(id);
    let at = at.ok_or_else(|| format!("a value of column {id} of {}", table.name))?;
    let column = &table.columns[at];
    if is_of(value, column.data_type) {
        return Ok(());
    }
    let (name, data_type) = (&column.name, column.data_type);
    Err(format!("{value:?} in column {name} of type {data_type}"))
}

/// Whether a column is of that type.
pub(super) fn column(table: &TableDef, id: ColumnId, data_type: DataType) -> Result<(), Misfit> {
    let position = table.position(id);
    let at = position.ok_or_else(|| format!("a value of column {id} of {}", table.name))?;
    let column = &table.columns[at];
    match column.data_type == data_type {
        true => Ok(()),
        false => {
            let (name, expected) = (&column.name, column.data_type);
            Err(format!("{data_type} in column {name} of type {expected}"))
        }
    }
}

/// The types of columns.
pub(super) fn column_types(
    table: &TableDef,
    ids: impl Iterator<Item = ColumnId>,
) -> Result<Vec<DataType>, Misfit> {
    let data_type = |id: ColumnId| {
        let at = table.position(id);
        let at = at.ok_or_else(|| format!("a value of column {id} of {}", table.name))?;
        Ok(table.columns[at].data_type)
    };
    ids.map(data_type).collect()
}

/// Whether these are values of these types.
pub(super) fn types(values: &[(ColumnId, ValueRef<'_>)], types: &[DataType]) -> Result<(), Misfit> {
    let mut pairs = values.iter().zip(types);
    match pairs.find(|((_, value), data_type)| !is_of(value, **data_type)) {
        Some(((id, value), data_type)) => {
            Err(format!("{value:?} in column {id} of type {data_type}"))
        }
        None => Ok(()),
    }
}

fn is_of(value: &ValueRef<'_>, data_type: DataType) -> bool {
    match (value, data_type) {
        (ValueRef::Null, _)
        | (ValueRef::Boolean(_), DataType::Boolean)
        | (ValueRef::SmallInt(_), DataType::SmallInt)
        | (ValueRef::Integer(_), DataType::Integer)
        | (ValueRef::BigInt(_), DataType::BigInt)
        | (ValueRef::Real(_), DataType::Real)
        | (ValueRef::Double(_), DataType::Double)
        | (ValueRef::Numeric(_), DataType::Numeric(None))
        | (
            ValueRef::Text(_),
            DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::Json,
        )
        | (ValueRef::Bytea(_), DataType::Bytea)
        | (ValueRef::Date(_), DataType::Date)
        | (ValueRef::Time(_), DataType::Time)
        | (ValueRef::Timestamp(_), DataType::Timestamp)
        | (ValueRef::TimestampTz(_), DataType::TimestampTz)
        | (ValueRef::Interval(_), DataType::Interval)
        | (ValueRef::Uuid(_), DataType::Uuid) => true,
        (ValueRef::Packed(value, _), DataType::Packed(column)) => *value == column,
        (ValueRef::Numeric(value), DataType::Numeric(Some(modifier))) => match value.kind() {
            NumericKind::NaN => true,
            NumericKind::Finite => value.scale() == modifier.scale,
            NumericKind::Infinity | NumericKind::NegativeInfinity => false,
        },
        _ => false,
    }
}

/// Whether the change can follow on the catalog.
pub(super) fn change(catalog: &Catalog, change: &CatalogChange) -> Result<(), Misfit> {
    if let Some(schema) = schema_of(change)
        && (schema.is_temporary() || !catalog.has_schema(schema))
    {
        return Err(format!(
            "something in schema {schema}, which does not exist"
        ));
    }
    if let CatalogChange::CreateTable(def)
    | CatalogChange::AlterTable(def)
    | CatalogChange::RewriteTable(def) = change
        && let Some(column) = def.columns.iter().find(|c| !catalog.has_type_of(c))
    {
        let (column, data_type) = (&column.name, column.data_type);
        return Err(format!(
            "column {column} of {data_type}, which does not exist"
        ));
    }
    match change {
        CatalogChange::CreateTable(def) => new_table(catalog, def),
        CatalogChange::CreateIndex(def) => new_index(catalog, def),
        CatalogChange::DropTable(id) if catalog.table_by_id(*id).is_none() => {
            Err(format!("the end of table {id}, which does not exist"))
        }
        CatalogChange::DropIndex(id) if catalog.index_by_id(*id).is_none() => {
            Err(format!("the end of index {id}, which does not exist"))
        }
        CatalogChange::DropTable(id) => no_reference(catalog, *id, |_| true),
        CatalogChange::DropIndex(id) => match catalog.index_by_id(*id) {
            Some((table, _)) => no_reference(catalog, table.def.id, |key| key.index == *id),
            None => Ok(()),
        },
        CatalogChange::AddForeignKey(id, key) => new_foreign_key(catalog, *id, key),
        CatalogChange::DropForeignKey(id, name) => {
            let table = catalog.table_by_id(*id);
            let mut keys = table.iter().flat_map(|table| &table.def.foreign_keys);
            match keys.any(|key| key.name == *name) {
                true => Ok(()),
                false => Err(format!(
                    "the end of foreign key {name}, which does not exist"
                )),
            }
        }
        CatalogChange::CreateSequence(def) if catalog.sequence_by_id(def.id).is_some() => {
            Err(format!("sequence {} a second time", def.id))
        }
        CatalogChange::CreateSequence(def) => sequence(def),
        CatalogChange::AlterSequence(SequenceDef { id, .. }) | CatalogChange::DropSequence(id)
            if catalog.sequence_by_id(*id).is_none() =>
        {
            Err(format!("a change of sequence {id}, which does not exist"))
        }
        CatalogChange::AlterSequence(def) => sequence(def),
        CatalogChange::DropSequence(_) => Ok(()),
        CatalogChange::SetDefault(id, column, _) => {
            let table = catalog.table_by_id(*id);
            let position = table.and_then(|table| table.def.position(*column));
            let missing = || format!("a default of column {column} of table {id}");
            position.map(drop).ok_or_else(missing)
        }
        CatalogChange::AlterTable(def) => match catalog.table_by_id(def.id) {
            Some(table) if def.has_layout_of(&table.def) => Ok(()),
            Some(_) => Err(format!("another layout of table {}", def.id)),
            None => Err(format!(
                "a change of table {}, which does not exist",
                def.id
            )),
        },
        CatalogChange::RewriteTable(def) => match catalog.table_by_id(def.id) {
            Some(_) => columns(def),
            None => Err(format!(
                "new rows of table {}, which does not exist",
                def.id
            )),
        },
        CatalogChange::EmptyTable(id) => match catalog.table_by_id(*id) {
            Some(_) => Ok(()),
            None => Err(format!(
                "the end of rows of table {id}, which does not exist"
            )),
        },
        CatalogChange::RenameIndex(id, _) => match catalog.index_by_id(*id) {
            Some(_) => Ok(()),
            None => Err(format!("a name of index {id}, which does not exist")),
        },
        CatalogChange::SetView(def) => match catalog.table_by_id(def.id) {
            Some(_) => Err(format!("view {} with the id of a table", def.id)),
            None => Ok(()),
        },
        CatalogChange::DropView(id) => match catalog.view_by_id(*id) {
            Some(_) => Ok(()),
            None => Err(format!("the end of view {id}, which does not exist")),
        },
        CatalogChange::SetFunction(def) => {
            let is_taken =
                catalog.table_by_id(def.id).is_some() || catalog.view_by_id(def.id).is_some();
            match is_taken {
                true => Err(format!("function {} with the id of a relation", def.id)),
                false => Ok(()),
            }
        }
        CatalogChange::DropFunction(id) => match catalog.function_by_id(*id) {
            Some(_) => Ok(()),
            None => Err(format!("the end of function {id}, which does not exist")),
        },
        CatalogChange::SetType(def) => {
            let id = TableId(def.id.0);
            let is_taken = catalog.table_by_id(id).is_some()
                || catalog.view_by_id(id).is_some()
                || catalog.function_by_id(id).is_some();
            match (is_taken, def.misfit()) {
                (true, _) => Err(format!("type {} with the id of something else", def.id)),
                (_, Some(misfit)) => Err(misfit),
                _ => Ok(()),
            }
        }
        CatalogChange::DropType(id) => match catalog.type_by_id(*id) {
            Some(_) if catalog.is_type_of_columns(*id) || catalog.is_type_of_types(*id) => {
                Err(format!("the end of type {id}, which columns are of"))
            }
            Some(_) => Ok(()),
            None => Err(format!("the end of type {id}, which does not exist")),
        },
        CatalogChange::SetComment(on, _) => match catalog.schema_of(*on) {
            Some(_) => Ok(()),
            None => Err(format!("a comment on {on:?}, which does not exist")),
        },
        CatalogChange::SetSchema(def) => match (1..SchemaId::MADE_END).contains(&def.id.0) {
            true => Ok(()),
            false => Err(format!("a schema of number {}", def.id)),
        },
        CatalogChange::DropSchema(id) => match catalog.objects_in(*id).next() {
            Some(_) => Err(format!("the end of schema {id}, in which something is")),
            None if catalog.schema_by_id(*id).is_some() => Ok(()),
            None => Err(format!("the end of schema {id}, which does not exist")),
        },
    }
}

/// Where that is which a change defines.
fn schema_of(change: &CatalogChange) -> Option<SchemaId> {
    use CatalogChange as C;
    match change {
        C::CreateTable(def) | C::AlterTable(def) | C::RewriteTable(def) => Some(def.schema),
        C::CreateSequence(def) | C::AlterSequence(def) => Some(def.schema),
        C::SetView(def) => Some(def.schema),
        C::SetType(def) => Some(def.schema),
        _ => None,
    }
}

/// Whether nothing refers to a table by such a key: foreign keys go before what they refer to.
fn no_reference(
    catalog: &Catalog,
    id: TableId,
    by: impl Fn(&ForeignKeyDef) -> bool,
) -> Result<(), Misfit> {
    let entry = catalog.table_by_id(id);
    let mut references = entry.iter().flat_map(|entry| &entry.references);
    match references.find(|reference| by(&reference.key)) {
        Some(reference) => Err(format!(
            "the end of what foreign key {} refers to",
            reference.key.name
        )),
        None => Ok(()),
    }
}

fn new_foreign_key(catalog: &Catalog, id: TableId, key: &ForeignKeyDef) -> Result<(), Misfit> {
    let table = catalog.table_by_id(id);
    let table = table.ok_or_else(|| format!("a foreign key of table {id}"))?;
    let mut others = table.def.foreign_keys.iter();
    if others.any(|other| other.name == key.name) {
        return Err(format!("foreign key {} a second time", key.name));
    }
    match catalog.is_fit(table, key) {
        true => Ok(()),
        false => Err(format!("foreign key {} of {}", key.name, table.def.name)),
    }
}

fn sequence(def: &SequenceDef) -> Result<(), Misfit> {
    let (rule, data_type) = (&def.rule, def.data_type);
    let (least, greatest) = match data_type {
        DataType::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        DataType::Integer => (i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => (i64::MIN, i64::MAX),
        _ => return Err(format!("a sequence of type {data_type}")),
    };
    let fits = rule.increment != 0
        && def.cache > 0
        && rule.admits(def.beginning())
        && least <= rule.min
        && rule.max <= greatest;
    fits.then_some(()).ok_or_else(|| {
        let (min, max, by) = (rule.min, rule.max, rule.increment);
        format!(
            "a sequence of type {data_type} from {min} to {max} by {by} that starts with {}, {} at a time",
            def.start, def.cache
        )
    })
}

/// Whether a sequence can stand there.
pub(super) fn position(
    catalog: &Catalog,
    id: SequenceId,
    position: SequencePosition,
) -> Result<(), Misfit> {
    let entry = catalog.sequence_by_id(id);
    let entry = entry.ok_or_else(|| format!("a number of sequence {id}, which does not exist"))?;
    match entry.def.rule.admits(position) {
        true => Ok(()),
        false => Err(format!(
            "number {} of sequence {}, which is outside its limits",
            position.last, entry.def.name
        )),
    }
}

/// Whether what a sequence goes with is there. Of a checkpoint only: between the steps of one commit it may
/// go with a table that another commit has dropped.
pub(super) fn owner(catalog: &Catalog, def: &SequenceDef) -> Result<(), Misfit> {
    match def.owner {
        Some((table, _)) if catalog.table_by_id(table).is_none() => Err(format!(
            "sequence {} of table {table}, which does not exist",
            def.name
        )),
        _ => Ok(()),
    }
}

fn new_table(catalog: &Catalog, def: &TableDef) -> Result<(), Misfit> {
    if catalog.table_by_id(def.id).is_some() || catalog.view_by_id(def.id).is_some() {
        return Err(format!("table {} a second time", def.id));
    }
    columns(def)
}

/// Whether a table can have these columns.
fn columns(def: &TableDef) -> Result<(), Misfit> {
    if def.columns.len() > COLUMNS_MAX {
        return Err(format!("a table of {} columns", def.columns.len()));
    }
    let mut ids = HashSet::new();
    for column in &def.columns {
        if !ids.insert(column.id) {
            return Err(format!("column {} of {} twice", column.id, def.name));
        }
        if let DataType::Numeric(Some(m)) = column.data_type
            && (m.precision == 0 || m.precision > NUMERIC_DIGITS_MAX || m.scale > m.precision)
        {
            return Err(format!("a column of type {}", column.data_type));
        }
    }
    // What they refer to may come later: that is looked at when all is there.
    let mut names = HashSet::new();
    let mut keys = def.foreign_keys.iter();
    match keys.find(|key| !names.insert(&key.name)) {
        Some(key) => Err(format!("foreign key {} a second time", key.name)),
        None => Ok(()),
    }
}

fn new_index(catalog: &Catalog, def: &IndexDef) -> Result<(), Misfit> {
    if catalog.index_by_id(def.id).is_some() {
        return Err(format!("index {} a second time", def.id));
    }
    let table = catalog.table_by_id(def.table);
    let table = table.ok_or_else(|| format!("an index of table {}", def.table))?;
    let is_missing = |id| table.def.position(id).is_none();
    match def.columns.iter().find(|column| is_missing(column.column)) {
        Some(column) => Err(format!("an index of column {}", column.column)),
        None if def.columns.is_empty() => Err("an index of no columns".to_owned()),
        None if def.partial && !is_condition(&table.def, def) => {
            Err("an index of the rows with a column that is no condition".to_owned())
        }
        None => Ok(()),
    }
}

/// Whether a partial index begins with a column that can say which rows it is of, and has another one.
fn is_condition(table: &TableDef, index: &IndexDef) -> bool {
    let first = index.columns.first();
    let first = first.and_then(|key| table.position(key.column));
    let is_boolean = |at: usize| table.columns[at].data_type == DataType::Boolean;
    first.is_some_and(is_boolean) && index.columns.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{SequenceEntry, SequenceRule};
    use crate::value::{Numeric, NumericModifier};

    #[test]
    fn a_numeric_fits_only_with_its_columns_scale() {
        let modifier = Some(NumericModifier {
            precision: 5,
            scale: 2,
        });
        let value =
            |mantissa, scale| ValueRef::Numeric(Numeric::new(mantissa, scale).expect("fits"));
        assert!(is_of(&value(125, 2), DataType::Numeric(modifier)));
        assert!(!is_of(&value(125, 1), DataType::Numeric(modifier)));
        assert!(is_of(&value(125, 1), DataType::Numeric(None)));
        assert!(is_of(
            &ValueRef::Numeric(Numeric::NAN),
            DataType::Numeric(modifier)
        ));
        assert!(!is_of(
            &ValueRef::Numeric(Numeric::INFINITY),
            DataType::Numeric(modifier)
        ));
        assert!(!is_of(&ValueRef::Text("1"), DataType::BigInt));
        assert!(is_of(&ValueRef::Null, DataType::BigInt));
    }

    #[test]
    fn a_sequence_fits_only_within_its_type_and_its_limits() {
        let good = SequenceDef {
            data_type: DataType::SmallInt,
            rule: SequenceRule {
                increment: 1,
                min: 1,
                max: 100,
                cycle: false,
            },
            ..SequenceDef::new("s")
        };
        assert_eq!(sequence(&good), Ok(()));
        type Spoil = fn(&mut SequenceDef);
        let bad: [(&str, Spoil); 8] = [
            ("type", |def| def.data_type = DataType::Text),
            ("max", |def| def.rule.max = 40_000),
            ("min", |def| def.rule.min = -40_000),
            ("order", |def| (def.rule.min, def.rule.max) = (9, 1)),
            ("increment", |def| def.rule.increment = 0),
            ("cache", |def| def.cache = 0),
            ("start below", |def| def.start = 0),
            ("start above", |def| def.start = 101),
        ];
        for (what, spoil) in bad {
            let mut def = good.clone();
            spoil(&mut def);
            assert!(sequence(&def).is_err(), "{what}");
        }
        let mut catalog = Catalog::default();
        let id = good.id;
        let entry = SequenceEntry::new(good);
        catalog.set_sequence(id, Some(entry.into())).expect("set");
        for (last, fits) in [(0, false), (1, true), (100, true), (101, false)] {
            let at = SequencePosition {
                last,
                is_called: true,
            };
            assert_eq!(position(&catalog, id, at).is_ok(), fits, "{last}");
        }
    }

    #[test]
    fn a_sequence_of_a_table_that_is_not_there_does_not_fit() {
        let mut def = SequenceDef::new("s");
        assert_eq!(owner(&Catalog::default(), &def), Ok(()));
        def.owner = Some((TableId(7), ColumnId(0)));
        assert!(owner(&Catalog::default(), &def).is_err());
    }
}
