//! What a serializable transaction keeps of its reads, and until when.

use super::serial::{alone, count_tens_keeping, holding};
use super::*;

/// The parameters of a filter are kept until the commit. Where there is no memory for them, all rows that
/// the scan looked at count as read.
#[test]
fn what_a_test_keeps_is_reserved_or_it_is_not_kept() {
    for (bytes, is_refused) in [(1 << 20, false), (1 << 50, true)] {
        let core = holding(&[(1, 10), (2, 20)]);
        let before = core.ledger().used();
        let mut bob = core.begin().unwrap();
        assert_eq!(count_tens_keeping(&mut bob, 0, bytes), 2);
        let taken = core.ledger().used() - before;
        assert_eq!(taken >= 1 << 20, !is_refused, "{taken}");
        // Of no interest to Bob, if he still knows what he asked.
        alone(&core, |tx| {
            insert(tx, 3, 7).unwrap();
        });
        insert(&mut bob, 4, 4).unwrap();
        assert_eq!(bob.commit().is_err(), is_refused);
    }
}

/// Bob reads on after his commit: what was said before it was asked about, what comes later was not.
#[test]
fn what_is_read_after_the_commit_is_known_to_be_late() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut bob = core.begin().unwrap();
    bob.begin_command();
    let (table, view) = (t(&bob), bob.view());
    let mut scan = view.scan(&table, &[V], &[], 1);
    scan.next().unwrap();
    insert(&mut bob, 3, 30).unwrap();
    bob.commit().unwrap();
    while scan.next().unwrap().is_some() {}
    drop(scan);
    assert!(!view.has_read_late());
    view.row(
        &table,
        RowId::new(crate::ids::BlockNo(0), crate::ids::Slot(0)),
        |_| (),
    );
    assert!(view.has_read_late());
    // One that has changed nothing stands where its snapshot is, and may read on.
    let alice = core.begin().unwrap();
    let view = alice.view();
    alice.commit().unwrap();
    drop(view.scan(&table, &[V], &[], 1));
    assert!(!view.has_read_late());
}
