//! A core rebuilt from what was logged: rows in their places, indexes from rows.

use super::*;
use crate::catalog::CatalogChange;
use crate::ids::{BlockNo, Slot, Timestamp};

fn restored(core: &Core) -> TableId {
    let id = TableId(7);
    let mut def = table_def("t", DataType::Text);
    def.id = id;
    core.restore_catalog(&CatalogChange::CreateTable(def))
        .unwrap();
    let mut index = index_def(id, "t_pkey", K, true);
    index.id = IndexId(3);
    core.restore_catalog(&CatalogChange::CreateIndex(index))
        .unwrap();
    id
}

#[test]
fn rows_come_back_to_their_places() {
    let core = core();
    let table = restored(&core);
    let at = |block, slot| RowId::new(BlockNo(block), Slot(slot));
    let values = |k: i32, v: &str| [(K, Value::Integer(k)), (V, text(v))];
    let long = "a string that is too long for its view".to_owned();
    // Not in order, and with gaps.
    let places = [at(2, 5), at(0, 3), at(0, 63), at(0, 1)];
    for (k, row) in places.into_iter().enumerate() {
        core.restore_insert(table, row, &values(k as i32, "v"), Timestamp(5))
            .unwrap();
    }
    let changes = [(V, text(&long))];
    core.restore_update(table, at(0, 3), &changes, Timestamp(6))
        .unwrap();
    core.restore_update(table, at(0, 3), &[(K, Value::Integer(9))], Timestamp(7))
        .unwrap();
    core.restore_delete(table, at(0, 1), Timestamp(7)).unwrap();
    // What cannot have been written is refused.
    for row in [at(0, 64), at(0, 3)] {
        assert!(
            core.restore_insert(table, row, &values(5, "v"), Timestamp(7))
                .is_err()
        );
    }
    let missing = core.restore_delete(table, at(1, 1), Timestamp(7));
    assert!(missing.is_err(), "what goes was there");
    core.restore_next_row(table, at(2, 9)).unwrap();
    core.finish_recovery(Timestamp(7)).unwrap();

    assert_eq!(core.latest(), Timestamp(7));
    assert_eq!(core.next_ids(), (TableId(8), IndexId(4)));
    let mut tx = core.begin().unwrap();
    let mut rows = Vec::new();
    tx.view()
        .for_each_row(&t(&tx), |id, row| {
            rows.push((id, int(row.get(K)), row.get(V).to_owned()));
            Ok::<(), ()>(())
        })
        .unwrap();
    let expected = [
        (at(0, 3), 9, text(&long)),
        (at(0, 63), 2, text("v")),
        (at(2, 5), 0, text("v")),
    ];
    assert_eq!(rows, expected);
    assert_eq!(find(&tx, 9), Some(at(0, 3)));
    assert_eq!(find(&tx, 3), None, "the deleted row is in no index");
    assert_eq!(t(&tx).indexes[0].index.len(), 3);
    // New rows come after everything that ever was.
    let new = tx.insert(&t(&tx), &[ValueRef::Integer(3), ValueRef::Null]);
    assert_eq!(new.unwrap(), at(2, 9));
    tx.commit().unwrap();
    assert_eq!(core.latest(), Timestamp(8));
}

#[test]
fn what_was_true_while_recovering_makes_nobody_too_old() {
    let core = core();
    let table = restored(&core);
    for k in 1..=2 {
        let row = RowId::new(BlockNo(0), Slot(k as u16));
        let values = [(K, Value::Integer(k)), (V, text("v"))];
        core.restore_insert(table, row, &values, Timestamp(5))
            .unwrap();
    }
    // Maintenance may look while the clock stands beyond all that will be.
    core.timeline.horizon();
    core.finish_recovery(Timestamp(7)).unwrap();
    let mut tx = core.begin().unwrap();
    assert!(find(&tx, 1).is_some());
    let mut rival = core.begin().unwrap();
    assert!(delete(&mut rival, 2).unwrap());
    rival.commit().unwrap();
    let new = [ValueRef::Integer(3), ValueRef::Null];
    tx.insert(&t(&tx), &new).unwrap();
    tx.commit().unwrap();
}

#[test]
fn an_empty_table_remembers_how_far_it_had_come() {
    let core = core();
    let table = restored(&core);
    core.restore_next_row(table, RowId::new(BlockNo(4), Slot(0)))
        .unwrap();
    core.finish_recovery(Timestamp(70)).unwrap();
    let mut tx = core.begin().unwrap();
    let row = tx.insert(&t(&tx), &[ValueRef::Integer(3), ValueRef::Null]);
    assert_eq!(row.unwrap(), RowId::new(BlockNo(4), Slot(0)));
}
