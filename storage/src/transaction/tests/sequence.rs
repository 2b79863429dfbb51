//! Numbers are taken beside transactions; sequences come and go within them.

use super::core;
use crate::catalog::{SequenceDef, SequenceEntry, SequencePosition};
use crate::error::Error;
use crate::transaction::{Core, Transaction};
use std::collections::BTreeSet;
use std::sync::Arc;

fn create(core: &Arc<Core>, name: &str) {
    let mut tx = core.begin().unwrap();
    tx.create_sequence(SequenceDef::new(name)).unwrap();
    tx.commit().unwrap();
}

fn entry(tx: &Transaction, name: &str) -> Arc<SequenceEntry> {
    Arc::clone(tx.catalog().sequence(name).expect("the sequence"))
}

fn take(tx: &Transaction) -> i64 {
    tx.core().next_value(&entry(tx, "s")).expect("a number")
}

#[test]
fn a_number_stays_taken_when_its_transaction_rolls_back_and_nobody_waits_for_it() {
    let core = core();
    create(&core, "s");
    let (one, two) = (core.begin().unwrap(), core.begin().unwrap());
    assert_eq!((take(&one), take(&two), take(&one)), (1, 2, 3));
    drop(one);
    assert_eq!(take(&two), 4);
    assert!(two.commit().unwrap().timestamp.is_none());
    assert_eq!(take(&core.begin().unwrap()), 5);
}

#[test]
fn eight_threads_take_different_numbers() {
    const EACH: usize = 2_000;
    let core = core();
    create(&core, "s");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let core = Arc::clone(&core);
            std::thread::spawn(move || {
                let take_some = |_| {
                    let tx = core.begin().unwrap();
                    [take(&tx), take(&tx)]
                };
                (0..EACH / 2).flat_map(take_some).collect::<Vec<i64>>()
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for thread in threads {
        let numbers = thread.join().expect("a thread");
        assert!(numbers.is_sorted(), "each thread sees them rise");
        all.extend(numbers);
    }
    // All different, and none left out.
    assert!(all.into_iter().eq(1..=8 * EACH as i64));
}

#[test]
fn a_sequence_that_was_not_committed_is_its_transactions_own() {
    let core = core();
    let mut tx = core.begin().unwrap();
    let before = tx.begin_command();
    tx.create_sequence(SequenceDef::new("s")).unwrap();
    assert_eq!(take(&tx), 1);
    assert!(core.begin().unwrap().catalog().sequence("s").is_none());
    tx.rollback_to(before);
    assert!(tx.catalog().sequence("s").is_none() && !tx.has_writes());
    tx.create_sequence(SequenceDef::new("s")).unwrap();
    assert_eq!((take(&tx), take(&tx)), (1, 2));
    tx.commit().unwrap();
    assert_eq!(take(&core.begin().unwrap()), 3);
}

#[test]
fn a_restart_is_seen_at_its_commit_and_then_nobody_takes_numbers_from_before() {
    let core = core();
    create(&core, "s");
    let old = core.begin().unwrap();
    assert_eq!(take(&old), 1);
    let restart = |tx: &mut Transaction| {
        let def = entry(tx, "s").def.clone();
        let position = def.beginning();
        tx.alter_sequence(def, Some(position)).unwrap();
    };
    let mut undone = core.begin().unwrap();
    restart(&mut undone);
    assert_eq!(take(&undone), 1);
    drop(undone);
    assert_eq!(take(&old), 2);
    let mut tx = core.begin().unwrap();
    restart(&mut tx);
    assert_eq!((take(&tx), take(&old)), (1, 3));
    tx.commit().unwrap();
    assert_eq!(take(&core.begin().unwrap()), 2);
    let refused = core.next_value(&entry(&old, "s")).unwrap_err();
    assert!(matches!(&refused, Error::SchemaConflict { table } if table == "s"));
    assert!(refused.is_retryable());
}

#[test]
fn other_limits_go_on_where_the_sequence_stands() {
    let core = core();
    create(&core, "s");
    let old = core.begin().unwrap();
    assert_eq!(take(&old), 1);
    let mut tx = core.begin().unwrap();
    let mut def = entry(&tx, "s").def.clone();
    def.rule.increment = 10;
    tx.alter_sequence(def, None).unwrap();
    assert_eq!((take(&tx), take(&old), take(&tx)), (11, 12, 22));
    tx.commit().unwrap();
    assert_eq!(take(&core.begin().unwrap()), 32);
}

#[test]
fn who_changes_a_sequence_second_is_refused_and_so_is_a_name_given_twice() {
    let core = core();
    create(&core, "s");
    let (mut one, mut two) = (core.begin().unwrap(), core.begin().unwrap());
    let id = entry(&one, "s").def.id;
    one.drop_sequence(id).unwrap();
    two.drop_sequence(id).unwrap();
    two.commit().unwrap();
    assert!(matches!(one.commit(), Err(Error::SchemaConflict { table }) if table == "s"));
    let (mut one, mut two) = (core.begin().unwrap(), core.begin().unwrap());
    one.create_sequence(SequenceDef::new("s")).unwrap();
    two.create_sequence(SequenceDef::new("s")).unwrap();
    let again = two.create_sequence(SequenceDef::new("s"));
    assert!(matches!(again, Err(Error::DuplicateRelation(name)) if name == "s"));
    one.commit().unwrap();
    assert!(matches!(two.commit(), Err(Error::SchemaConflict { .. })));
}

#[test]
fn a_sequence_is_set_for_all_at_once() {
    let core = core();
    create(&core, "s");
    let (one, two) = (core.begin().unwrap(), core.begin().unwrap());
    assert_eq!(take(&one), 1);
    let position = SequencePosition {
        last: 50,
        is_called: false,
    };
    core.set_value(&entry(&one, "s"), position).unwrap();
    drop(one);
    assert_eq!((take(&two), take(&two)), (50, 51));
}
