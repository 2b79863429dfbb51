use super::*;
use remora_storage::Isolation;
use remora_storage::time::micros;
use std::time::SystemTime;

#[test]
fn a_transaction_leads_to_its_session_and_statement() {
    let activity = Activity::new();
    let (alice, bob) = (activity.join(), activity.join());
    let select = Arc::from("SELECT 1");
    alice.begin_statement(1, &select);
    alice.runs_in(7);
    let runner = activity.runner(7).unwrap();
    assert_eq!(runner.session.number(), alice.number());
    assert_eq!(runner.statement.as_deref(), Some("SELECT 1"));
    assert_eq!(runner.block, None);
    assert!(activity.runner(8).is_none());
    // Much later Bob's transaction has taken the place.
    bob.begin_statement(1, &select);
    bob.runs_in(7 + REMEMBERED as u64);
    assert!(activity.runner(7).is_none());
}

#[test]
fn an_open_block_is_known_however_old_it_is() {
    let activity = Activity::new();
    let (alice, bob) = (activity.join(), activity.join());
    alice.begin_statement(1, &Arc::from("BEGIN"));
    alice.begin_block(7, Isolation::Snapshot, true);
    bob.runs_in(7 + REMEMBERED as u64);
    let block = activity.runner(7).unwrap().block.unwrap();
    assert!(block.read_only);
    assert_eq!(block.isolation, Isolation::Snapshot);
}

#[test]
fn old_texts_are_forgotten_and_come_back_when_they_run_again() {
    let activity = Activity::new();
    let alice = activity.join();
    let text = |n: u32| Arc::from(format!("SELECT {n}"));
    for n in 1..=20 {
        alice.begin_statement(n, &text(n));
    }
    assert_eq!(alice.last_statement().as_deref(), Some("SELECT 20"));
    assert_eq!(alice.text(1), None);
    alice.begin_statement(1, &text(1));
    assert_eq!(alice.last_statement().as_deref(), Some("SELECT 1"));
}

#[test]
fn a_session_that_is_gone_is_gone() {
    let activity = Activity::new();
    let alice = activity.join();
    alice.runs_in(3);
    assert_eq!(activity.sessions().len(), 1);
    drop(alice);
    assert!(activity.sessions().is_empty());
    assert!(activity.runner(3).is_none());
}

/// Others see by its snapshot how old it is.
#[test]
fn a_block_that_only_reads_does_not_look_at_the_clock() {
    let activity = Activity::new();
    let alice = activity.join();
    alice.begin_block(7, Isolation::Serializable, true);
    assert_eq!(activity.runner(7).unwrap().started, None);
    alice.begin_block(8, Isolation::Serializable, false);
    assert!(activity.runner(8).unwrap().started.is_some());
}

/// Whoever has lost against Alice hears of her when she is gone.
#[test]
fn when_a_transaction_began_is_known_for_a_while() {
    let activity = Activity::new();
    let (alice, bob) = (activity.join(), activity.join());
    let update = Arc::from("UPDATE t SET v = 1");
    alice.begin_statement(1, &update);
    alice.begin_block(7, Isolation::Serializable, false);
    alice.runs_in_block(7, false);
    let began = activity.rival(7).started.unwrap();
    assert!((0..=1_000_000).contains(&(micros(SystemTime::now()) - began)));
    alice.begin_block(8, Isolation::Serializable, false);
    let rival = activity.rival(7);
    assert_eq!(rival.started, Some(began));
    assert_eq!(rival.statement.as_deref(), Some("UPDATE t SET v = 1"));
    drop(alice);
    let rival = activity.rival(7);
    assert_eq!((rival.started, rival.statement), (Some(began), None));
    let later = 7 + REMEMBERED as u64;
    bob.runs_alone(later, Isolation::Serializable, true);
    assert_eq!(activity.rival(7).started, None);
    assert!(activity.rival(later).started.unwrap() >= began);
}
