//! A session store: sessions last half an hour since they were last used, a login is counted, and a user may end all sessions at
//! once. Keys are `user/token`, so that the sessions of a user are a prefix.
//!
//! ```text
//! cargo run --release -p remora-db --example session_store
//! ```
#![allow(clippy::print_stdout, reason = "it tells what it does")]

use remora::kv::{Json, Kv, Put};
use remora::{Database, Result};
use std::time::{Duration, Instant};

const IDLE: Duration = Duration::from_secs(30 * 60);
const SESSIONS: u64 = 20_000;

/// What is known of a session: the user, and what is in the basket.
type Session = Json<(String, Vec<String>)>;

/// Begins a session for a token that the caller drew at random.
fn begin(store: &Kv, user: &str, token: u64) -> Result<String> {
    let key = format!("{user}/{token:016x}");
    let session: Session = Json((user.to_owned(), Vec::new()));
    let begun = store.put_with(&key, session, Put::new().ttl(IDLE).if_absent())?;
    assert!(begun.is_some(), "a token of 64 random bits is new");
    store.increment(format!("logins/{user}"), 1)?;
    Ok(key)
}

/// The session of a key, which begins its time anew.
fn of_request(store: &Kv, key: &str) -> Result<Option<Session>> {
    match store.expire(key, Some(IDLE))? {
        true => store.get(key),
        false => Ok(None),
    }
}

/// Puts something into the basket, whatever other requests of the session do meanwhile.
fn add(store: &Kv, key: &str, what: &str) -> Result<bool> {
    while let Some(entry) = store.entry(key)? {
        let Json((user, mut basket)) = entry.value_as::<Session>()?;
        basket.push(what.to_owned());
        let changed: Session = Json((user, basket));
        if store
            .compare_and_set(key, entry.version, changed)?
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends all sessions of a user.
fn end_all(store: &Kv, user: &str) -> Result<usize> {
    let sessions = store.prefix(format!("{user}/"), 1000)?;
    store.delete_all(sessions.iter().map(|entry| &entry.key))
}

fn main() -> Result<()> {
    let db = Database::in_memory()?;
    let store = db.kv("web_session")?;

    let ann = begin(&store, "ann", 0x5eed)?;
    begin(&store, "ann", 0xfeed)?;
    std::thread::scope(|scope| {
        for what in ["apples", "bread"] {
            let (store, ann) = (&store, &ann);
            scope.spawn(move || add(store, ann, what));
        }
    });
    let Some(Json((_, basket))) = of_request(&store, &ann)? else {
        unreachable!("half an hour has not passed");
    };
    println!("ann's basket: {} things", basket.len());
    assert_eq!(basket.len(), 2);
    assert_eq!(end_all(&store, "ann")?, 2);
    assert_eq!(of_request(&store, &ann)?, None);
    assert_eq!(store.increment("logins/ann", 0)?, 2);

    let begun = Instant::now();
    let keys = (0..SESSIONS).map(|token| begin(&store, &format!("user {}", token % 997), token));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let rate = SESSIONS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} logins a second");
    let begun = Instant::now();
    for key in &keys {
        assert!(of_request(&store, key)?.is_some());
    }
    let rate = SESSIONS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} requests a second, by one thread");
    Ok(())
}
