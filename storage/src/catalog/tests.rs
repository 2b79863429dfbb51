//! The catalog as a value.

use super::*;
use crate::pool::{Ledger, Pool};
use crate::value::DataType;

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
    let dropped = own.clone();
    own.set_table(TableId(2), Some(entry(&pool, 2, "t")))
        .unwrap();
    let mut latest = base.clone();
    latest
        .set_table(TableId(3), Some(entry(&pool, 3, "u")))
        .unwrap();
    let [one, two] = [TableId(1), TableId(2)].map(CatalogObject::Table);
    let steps = [(one, &dropped), (two, &own)];
    let merged = Catalog::merge(&base, &latest, &steps).unwrap();
    assert_eq!(merged.table("t").map(|t| t.def.id), Some(TableId(2)));
    assert_eq!(merged.table("u").map(|t| t.def.id), Some(TableId(3)));
    assert!(merged.table_by_id(TableId(1)).is_none());
    // The name is free again, for whoever has it now.
    assert!(merged.has_name("t"));
    let mut more = own.clone();
    let taken = more.set_table(TableId(4), Some(entry(&pool, 4, "t")));
    assert!(matches!(taken, Err(Error::DuplicateRelation(name)) if name == "t"));
    assert!(more.table_by_id(TableId(4)).is_none());
    let mut rival = latest.clone();
    rival.set_table(TableId(1), None).unwrap();
    let merged = Catalog::merge(&base, &rival, &steps);
    assert!(matches!(merged, Err(Error::SchemaConflict { .. })));
}

/// A replay of the log would find the name taken: so must the commit.
#[test]
fn a_name_that_was_needed_for_a_while_has_to_be_free() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let base = Catalog::default();
    let mut created = base.clone();
    let table = CatalogObject::Table(TableId(1));
    created
        .set_table(TableId(1), Some(entry(&pool, 1, "t")))
        .unwrap();
    let steps = [(table, &created), (table, &base)];
    assert!(Catalog::merge(&base, &base, &steps).is_ok());
    let mut rival = base.clone();
    rival
        .set_table(TableId(2), Some(entry(&pool, 2, "t")))
        .unwrap();
    let merged = Catalog::merge(&base, &rival, &steps);
    assert!(matches!(merged, Err(Error::SchemaConflict { table }) if table == "t"));
}

fn sequence(id: u32, name: &str) -> Arc<SequenceEntry> {
    Arc::new(SequenceEntry::new(SequenceDef {
        id: SequenceId(id),
        ..SequenceDef::new(name)
    }))
}

/// One makes a default of a sequence while the other one drops it: whoever commits last is refused.
#[test]
fn a_default_and_its_sequence_cannot_part_in_two_transactions() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let (s, t) = (SequenceId(7), TableId(1));
    let mut base = Catalog::default();
    base.set_sequence(s, Some(sequence(7, "s"))).unwrap();
    let mut user = base.clone();
    let mut def = TableDef::new(
        "t",
        vec![ColumnDef::new(ColumnId(1), "k", DataType::BigInt)],
    );
    (def.id, def.columns[0].sequences) = (t, vec![s]);
    user.set_table(t, Some(Arc::new(TableEntry::new(def, &pool))))
        .unwrap();
    let mut dropper = base.clone();
    dropper.set_sequence(s, None).unwrap();
    let refused = |merged: Result<Catalog>| {
        assert!(matches!(merged, Err(Error::SchemaConflict { table }) if table == "t"));
    };
    let uses = [(CatalogObject::Table(t), &user)];
    refused(Catalog::merge(&base, &dropper, &uses));
    let drops = [(CatalogObject::Sequence(s), &dropper)];
    refused(Catalog::merge(&base, &user, &drops));
    assert_eq!(user.users_of(s).count(), 1);
}

#[test]
fn sequences_share_the_name_space_and_are_found_by_it() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let mut catalog = Catalog::default();
    let (s, t) = (SequenceId(1), TableId(1));
    catalog.set_sequence(s, Some(sequence(1, "s"))).unwrap();
    let taken = catalog.set_table(t, Some(entry(&pool, 1, "s")));
    assert!(matches!(taken, Err(Error::DuplicateRelation(name)) if name == "s"));
    catalog.set_table(t, Some(entry(&pool, 1, "t"))).unwrap();
    let taken = catalog.set_sequence(SequenceId(2), Some(sequence(2, "t")));
    assert!(matches!(taken, Err(Error::DuplicateRelation(name)) if name == "t"));
    assert!(catalog.table("s").is_none() && catalog.sequence("t").is_none());
    // Under another name it is gone from the old one.
    catalog.set_sequence(s, Some(sequence(1, "r"))).unwrap();
    assert!(catalog.sequence("r").is_some() && !catalog.has_name("s"));
}
