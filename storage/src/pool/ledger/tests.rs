//! The ledger: budgets that hold, claims, and what a refusal says.

use super::super::PressureLevel;
use super::*;

fn line(ledger: &Ledger, owner: Owner) -> u64 {
    ledger.entries()[owner as usize].bytes
}

#[test]
fn what_is_dropped_is_given_back() {
    let ledger = Ledger::new(1000);
    let mut one = ledger.reserve(Owner::Index, 300).unwrap();
    let two = ledger.reserve(Owner::Query, 500).unwrap();
    assert_eq!((ledger.used(), line(&ledger, Owner::Index)), (800, 300));
    one.resize(375).unwrap();
    let full = one.resize(376).unwrap_err();
    assert_eq!(full.sqlstate(), "53200");
    assert_eq!(one.bytes(), 375);
    one.resize(10).unwrap();
    drop(two);
    assert_eq!(ledger.used(), 10);
    drop(one);
    assert_eq!(ledger.used(), 0);
    assert_eq!(line(&ledger, Owner::Index), 0);
}

#[test]
fn a_request_beyond_all_numbers_is_refused() {
    let ledger = Ledger::new(1 << 30);
    let _held = ledger.reserve(Owner::Table, 5).unwrap();
    assert!(ledger.reserve(Owner::Table, u64::MAX).is_err());
    assert!(ledger.reserve_emergency(Owner::Table, u64::MAX).is_err());
}

#[test]
fn a_full_ledger_still_lets_a_rollback_through_but_not_beyond_the_budget() {
    let ledger = Ledger::new(800);
    let mut full = ledger.reserve(Owner::Table, 700).unwrap();
    assert!(ledger.reserve(Owner::Transaction, 1).is_err());
    let rollback = ledger.reserve_emergency(Owner::Transaction, 75).unwrap();
    assert!(ledger.reserve_emergency(Owner::Transaction, 1).is_err());
    assert!(full.resize_emergency(701).is_err());
    assert!(
        ledger.reserve(Owner::Query, 0).is_ok(),
        "nothing fits always"
    );
    drop(rollback);
    full.resize_emergency(775).unwrap();
    assert_eq!(
        ledger.used(),
        ledger.budget() - 25,
        "the rest is for small queries"
    );
}

#[test]
fn small_queries_take_a_quarter_of_the_reserve_and_no_more() {
    let ledger = Ledger::new(8000);
    let _full = ledger.reserve(Owner::Table, 7000).unwrap();
    let small = |bytes| ledger.reserve_for(Claim::Small, Owner::Query, bytes);
    let mut queries = small(0).unwrap();
    for step in 1..=5 {
        queries.resize_for(Claim::Small, 50 * step).unwrap();
    }
    assert!(small(1).is_err());
    assert!(queries.resize_for(Claim::Small, 251).is_err());
    assert!(ledger.reserve_emergency(Owner::Transaction, 750).is_ok());
}

#[test]
fn small_queries_are_served_whatever_has_taken_the_rest_of_the_reserve() {
    let ledger = Ledger::new(8000);
    let small = |bytes| ledger.reserve_for(Claim::Small, Owner::Query, bytes);
    let early = small(100).unwrap();
    let _full = ledger.reserve(Owner::Table, 6900).unwrap();
    let mut rest = ledger.reserve_emergency(Owner::Transaction, 750).unwrap();
    assert!(rest.resize_emergency(751).is_err());
    let mut late = small(200).unwrap();
    let part = late.split(50);
    assert!(small(51).is_err());
    drop(part);
    late.shrink(100);
    let again = small(150).unwrap();
    assert!(small(1).is_err());
    drop((early, late, again, rest));
    assert!(ledger.reserve_emergency(Owner::Transaction, 750).is_ok());
    assert_eq!(ledger.used(), 6900);
}

#[test]
fn threads_never_pass_the_budget_together() {
    let ledger = Ledger::new(8000);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..2000 {
                    let held = ledger.reserve(Owner::Query, 1 + n % 3000);
                    assert!(ledger.used() <= 7000, "used <= budget - reserve");
                    drop(held);
                }
            });
        }
    });
    assert_eq!(ledger.used(), 0);
}

#[test]
fn a_refusal_says_who_holds_the_most() {
    let ledger = Ledger::new(800);
    let _index = ledger.reserve(Owner::Index, 100).unwrap();
    let _table = ledger.reserve(Owner::Table, 500).unwrap();
    let refused = ledger.reserve(Owner::Query, 300).unwrap_err().to_string();
    assert_eq!(
        refused,
        "out of memory: 300 bytes wanted by query, 100 of 800 available; \
         table holds the most, 500 bytes"
    );
}

#[test]
fn a_budget_is_lowered_to_what_is_used_and_the_reserve_at_most() {
    let ledger = Ledger::new(8000);
    let held = ledger.reserve(Owner::Table, 3500).unwrap();
    for too_low in [0, 3500, 3998] {
        assert_eq!(ledger.set_budget(too_low).unwrap_err().sqlstate(), "53200");
    }
    assert_eq!((ledger.budget(), ledger.used()), (8000, 3500));
    ledger.set_budget(4000).unwrap();
    assert_eq!((ledger.budget(), ledger.used()), (4000, 3500));
    assert_eq!(ledger.pressure().level(), PressureLevel::Slow);
    assert!(ledger.reserve(Owner::Table, 1).is_err());
    let way_out = ledger.reserve_emergency(Owner::Transaction, 375);
    assert!(way_out.is_ok(), "the reserve is there");
    drop((held, way_out));
    assert_eq!(ledger.used(), 0);
    assert!(ledger.reserve(Owner::Table, 3500).is_ok());
    assert!(ledger.reserve(Owner::Table, 3501).is_err());
    assert_eq!(ledger.initial_budget(), 8000);
}

#[test]
fn whoever_lowers_the_budget_and_whoever_takes_never_pass_it_together() {
    let ledger = Ledger::new(8000);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for n in 0..2000 {
                    drop(ledger.reserve_emergency(Owner::Query, 1 + n % 3000));
                }
            });
        }
        for n in 0..2000 {
            let _ = ledger.set_budget(8000 - n % 7000);
            let left = ledger.left.load(Relaxed);
            assert!(left <= 8000, "what is left never wraps: {left}");
        }
    });
    assert_eq!(ledger.used(), 0);
}

#[test]
fn taking_across_a_threshold_raises_the_level() {
    let ledger = Ledger::new(8000);
    let _most = ledger.reserve(Owner::Table, 4899).unwrap();
    assert_eq!(ledger.pressure().level(), PressureLevel::Normal);
    let _one = ledger.reserve(Owner::Table, 1).unwrap();
    assert_eq!(
        ledger.pressure().level(),
        PressureLevel::Shed,
        "70 % of 7000"
    );
    let _rest = ledger.reserve_emergency(Owner::Log, 2850).unwrap();
    assert_eq!(ledger.pressure().level(), PressureLevel::Slow);
}

/// A row takes 16 bytes or so at least, and a deletion of all rows a bit each.
#[test]
fn the_reserve_grows_with_the_budget() {
    let reserve = |budget: u64| Ledger::new(budget).emergency();
    assert_eq!(reserve(8 << 20), 1 << 20);
    assert_eq!(reserve(64 << 20), 8 << 20);
    assert_eq!(reserve(512 << 20), 8 << 20);
    assert_eq!(reserve(1 << 30), 16 << 20);
    assert_eq!(reserve(64 << 30), 1 << 30);
}
