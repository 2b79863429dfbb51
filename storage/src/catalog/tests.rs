//! The catalog as a value.

use super::*;
use crate::pool::{Ledger, Pool};

fn entry(pool: &Arc<Pool>, id: u32, name: &str) -> Arc<TableEntry> {
    let def = TableDef {
        id: TableId(id),
        name: name.to_owned(),
        columns: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
    };
    Arc::new(TableEntry::new(def, pool))
}

#[test]
fn a_name_that_moves_from_one_table_to_another_merges() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let mut base = Catalog::default();
    let old = entry(&pool, 1, "t");
    base.set_table(TableId(1), Some(old)).unwrap();
    let mut own = base.clone();
    own.set_table(TableId(1), None).unwrap();
    own.set_table(TableId(2), Some(entry(&pool, 2, "t")))
        .unwrap();
    let mut latest = base.clone();
    latest
        .set_table(TableId(3), Some(entry(&pool, 3, "u")))
        .unwrap();
    let changed = [TableId(1), TableId(2)];
    let merged = Catalog::merge(&base, &own, &latest, &changed).unwrap();
    assert_eq!(merged.table("t").map(|t| t.def.id), Some(TableId(2)));
    assert_eq!(merged.table("u").map(|t| t.def.id), Some(TableId(3)));
    assert!(merged.table_by_id(TableId(1)).is_none());
    // The name is free again, for whoever has it now.
    assert!(merged.has_name("t"));
    let taken = own.set_table(TableId(4), Some(entry(&pool, 4, "t")));
    assert!(matches!(taken, Err(Error::DuplicateRelation(name)) if name == "t"));
    assert!(own.table_by_id(TableId(4)).is_none());
    let mut rival = latest.clone();
    rival.set_table(TableId(1), None).unwrap();
    let merged = Catalog::merge(&base, &own, &rival, &changed);
    assert!(matches!(merged, Err(Error::SchemaConflict { .. })));
}
