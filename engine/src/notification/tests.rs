//! The backlog of a listener by itself.

use super::{Delivery, Listener, Message};
use remora_storage::Timestamp;
use remora_storage::mvcc::Timeline;
use remora_storage::pool::Ledger;
use std::sync::Arc;

fn message(payload: &str) -> Arc<Message> {
    Message::new("news", payload).unwrap()
}

fn shown(listener: &Listener) -> Vec<String> {
    let all = std::iter::from_fn(|| listener.try_next());
    let told = all.map(|delivery| match delivery {
        Delivery::Notification(one) => one.payload,
        Delivery::Lost(count) => format!("lost {count}"),
    });
    told.collect()
}

#[test]
fn what_the_ledger_refuses_is_counted_where_it_is_missing() {
    let (clock, ledger) = (Timeline::new(), Ledger::new(64 << 10));
    let listener = Listener::new(&clock, &ledger);
    let long = "x".repeat(5000);
    for _ in 0..30 {
        listener.receive(Timestamp(0), 1, &message(&long));
    }
    assert!(ledger.used() <= ledger.budget());
    let first = shown(&listener);
    let told = first.len() - 1;
    assert!((2..13).contains(&told), "{told}");
    assert_eq!(first[told], format!("lost {}", 30 - told));
    assert_eq!(ledger.used(), 0);
    // Where some were taken, messages come behind the count.
    for _ in 0..30 {
        listener.receive(Timestamp(0), 1, &message(&long));
    }
    let taken = (0..told).filter_map(|_| listener.try_next()).count();
    listener.receive(Timestamp(0), 1, &message("small"));
    assert_eq!(taken, told);
    assert_eq!(
        shown(&listener),
        [format!("lost {}", 30 - told), "small".to_owned()]
    );
}

#[test]
fn a_message_waits_until_its_commit_is_durable() {
    let (clock, ledger) = (Timeline::new(), Ledger::new(1 << 20));
    clock.start_at(Timestamp(9));
    clock.set_durable(Timestamp(4));
    let listener = Listener::new(&clock, &ledger);
    for commit in [3, 5, 6] {
        let is_new = listener.receive(Timestamp(commit), 1, &message(&commit.to_string()));
        assert_eq!(is_new, commit == 3);
    }
    let looked = listener.show(clock.durable());
    assert!(looked.is_pending && looked.wakes);
    assert_eq!(shown(&listener), ["3"]);
    clock.set_durable(Timestamp(5));
    assert_eq!(shown(&listener), ["5"]);
    clock.set_durable(Timestamp(6));
    let looked = listener.show(clock.durable());
    assert!(!looked.is_pending && looked.wakes);
    // The session was woken already.
    assert!(!listener.show(clock.durable()).wakes);
    assert_eq!(shown(&listener), ["6"]);
}
