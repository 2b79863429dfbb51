use super::*;
use crate::Options;
use crate::testing::ManualTime;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::scope;
use std::time::UNIX_EPOCH;

fn kv() -> Kv {
    Database::in_memory().unwrap().kv("kv").unwrap()
}

fn state<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.sqlstate(),
    }
}

#[test]
fn a_value_is_what_was_put() {
    let kv = kv();
    assert_eq!(kv.get::<String>("a").unwrap(), None);
    kv.put("a", "one").unwrap();
    kv.put("a", "two").unwrap();
    kv.put(b"\x00\xff", [0_u8, 255]).unwrap();
    kv.put("", "").unwrap();
    assert_eq!(kv.get::<String>("a").unwrap().unwrap(), "two");
    assert_eq!(kv.get::<Vec<u8>>(b"\x00\xff").unwrap().unwrap(), [0, 255]);
    assert_eq!(kv.get::<String>("").unwrap().unwrap(), "");
    assert_eq!(kv.get_with("a", <[u8]>::len).unwrap(), Some(3));
    assert!(kv.delete("a").unwrap() && !kv.delete("a").unwrap());
    assert_eq!(state(kv.get::<String>(b"\x00\xff")), "22021");
    assert_eq!(state(kv.get::<Json<u8>>("")), "22P02");
    let keys_of_json = std::collections::HashMap::from([((1, 2), 3)]);
    assert_eq!(state(kv.put("a", Json(keys_of_json))), "22023");
}

#[test]
fn a_version_is_never_given_twice() {
    let kv = kv();
    kv.put("a", "one").unwrap();
    let first = kv.entry("a").unwrap().unwrap();
    assert!(kv.delete("a").unwrap());
    kv.put("a", "one").unwrap();
    assert_eq!(kv.compare_and_set("a", first.version, "two").unwrap(), None);
    let second = kv.entry("a").unwrap().unwrap();
    let third = kv.compare_and_set("a", second.version, "two").unwrap();
    assert_eq!(kv.entry("a").unwrap().unwrap().version, third.unwrap());
    assert!(!kv.compare_and_delete("a", second.version).unwrap());
    assert!(kv.compare_and_delete("a", third.unwrap()).unwrap());
    assert_eq!(kv.compare_and_set("a", third.unwrap(), "x").unwrap(), None);
    let absent = Put::new().if_absent();
    assert!(kv.put_with("a", "x", absent).unwrap().is_some());
    assert!(kv.put_with("a", "y", absent).unwrap().is_none());
}

#[test]
fn values_expire_and_keep_their_time_if_told_to() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let kv = db.kv("kv").unwrap();
    let ten = Duration::from_secs(10);
    kv.put_for("short", "1", ten).unwrap();
    kv.put_for("long", "1", 2 * ten).unwrap();
    kv.put("stays", "1").unwrap();
    time.advance(ten / 2);
    assert_eq!(kv.increment("short", 1).unwrap(), 2);
    let until = kv.entry("short").unwrap().unwrap().expires_at;
    assert_eq!(until, Some(UNIX_EPOCH + ten));
    kv.put_with("short", "7", Put::new().keep_ttl()).unwrap();
    let version = kv.entry("long").unwrap().unwrap().version;
    kv.compare_and_set("long", version, "8").unwrap().unwrap();
    time.advance(ten / 2);
    assert!(!kv.contains("short").unwrap());
    assert_eq!(kv.increment("short", 3).unwrap(), 3, "it begins anew");
    assert_eq!(kv.entry("short").unwrap().unwrap().expires_at, None);
    assert_eq!(kv.get::<String>("long").unwrap().unwrap(), "8");
    kv.put("long", "9").unwrap();
    assert!(kv.expire("stays", Some(ten)).unwrap());
    assert!(!kv.expire("nowhere", Some(ten)).unwrap());
    time.advance(ten);
    assert!(kv.contains("long").unwrap() && !kv.contains("stays").unwrap());
    assert_eq!(state(kv.put_for("a", "b", Duration::ZERO)), "22023");
    assert_eq!(state(kv.put_for("a", "b", Duration::MAX)), "22008");
    kv.put_for("a", "b", Duration::from_nanos(1)).unwrap();
}

#[test]
fn only_numbers_are_incremented() {
    let kv = kv();
    assert_eq!(kv.increment("n", -3).unwrap(), -3);
    assert_eq!(kv.get::<String>("n").unwrap().unwrap(), "-3");
    kv.put("word", "three").unwrap();
    kv.put("bytes", b"\xff\x00").unwrap();
    kv.put("large", i64::MAX.to_string()).unwrap();
    kv.put("huge", "9223372036854775808").unwrap();
    assert_eq!(state(kv.increment("word", 1)), "22P02");
    assert_eq!(state(kv.increment("bytes", 1)), "22P02");
    assert_eq!(state(kv.increment("large", 1)), "22003");
    assert_eq!(state(kv.increment("huge", 1)), "22003");
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| assert!(kv.increment("count", 1).unwrap() > 0)));
        }
    });
    assert_eq!(kv.increment("count", 0).unwrap(), 400);
}

#[test]
fn ranges_are_in_the_order_of_bytes() {
    let kv = kv();
    let keys: [&[u8]; 6] = [b"a", b"b", b"b\x00", b"b\xff", b"\xff", b"\xff\xff"];
    kv.put_all(keys.map(|key| (key, key))).unwrap();
    let shown = |found: Result<Vec<Entry>>| -> Vec<usize> {
        let found = found.unwrap().into_iter();
        found
            .map(|entry| keys.iter().position(|key| *key == entry.key).unwrap())
            .collect()
    };
    assert_eq!(shown(kv.prefix("b", 9)), [1, 2, 3]);
    assert_eq!(shown(kv.prefix(b"\xff", 9)), [4, 5]);
    assert_eq!(shown(kv.prefix(b"\xff\xff\xff", 9)), [0_usize; 0]);
    assert_eq!(shown(kv.prefix("", 4)), [0, 1, 2, 3]);
    assert_eq!(shown(kv.range::<&str>(.., 9)), [0, 1, 2, 3, 4, 5]);
    assert_eq!(shown(kv.range("b".., 2)), [1, 2]);
    assert_eq!(shown(kv.range(.."b", 9)), [0]);
    assert_eq!(shown(kv.range("a"..="b", 9)), [0, 1]);
    assert_eq!(shown(kv.range("b".."a", 9)), [0_usize; 0]);
    assert_eq!(shown(kv.range("a".., 0)), [0_usize; 0]);
}

#[test]
fn several_keys_are_written_together_or_not_at_all() {
    let kv = kv();
    kv.put_all([("a", "1"), ("b", "2")]).unwrap();
    let found = kv.get_all::<String, _>(["b", "c", "a"]).unwrap();
    assert_eq!(found, [Some("2".into()), None, Some("1".into())]);
    assert_eq!(kv.delete_all(["a", "c"]).unwrap(), 1);
    let failed: Result<()> = kv.transact(|kv, _| {
        kv.put("a", "3")?;
        kv.increment("b", 1)?;
        Err(sql_error!(INVALID_PARAMETER_VALUE, "no"))
    });
    assert_eq!(state(failed), "22023");
    assert!(!kv.contains("a").unwrap());
    assert_eq!(kv.increment("b", 0).unwrap(), 2);
}

#[test]
fn a_transaction_has_it_for_itself_until_its_commit() {
    let db = Database::in_memory().unwrap();
    let kv = db.kv("kv").unwrap();
    let mut conn = db.connect().unwrap();
    let tx = conn.transaction().unwrap();
    let inside = kv.within(&tx);
    inside.put_all([("a", "1")]).unwrap();
    assert!(inside.contains("a").unwrap() && !kv.contains("a").unwrap());
    tx.commit().unwrap();
    assert!(kv.contains("a").unwrap());
    kv.within(&conn).put_all([("b", "1")]).unwrap();
    assert!(!conn.is_in_transaction() && kv.contains("b").unwrap());
}

#[test]
fn one_computes_and_the_others_wait() {
    let kv = kv();
    let computed = AtomicUsize::new(0);
    let begin = Barrier::new(8);
    scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                begin.wait();
                let value = kv.get_or_insert_with("a", || {
                    computed.fetch_add(1, SeqCst);
                    // The one that computes has no transaction, and may use the table.
                    kv.put("other", "seen")?;
                    Ok("value".to_owned())
                });
                assert_eq!(value.unwrap(), "value");
            });
        }
    });
    assert_eq!(computed.load(SeqCst), 1);
}

#[test]
fn a_computation_that_fails_leaves_nothing() {
    let kv = kv();
    let fails = || Err(sql_error!(INVALID_PARAMETER_VALUE, "no"));
    assert_eq!(state(kv.get_or_insert_with::<String>("a", fails)), "22023");
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        kv.get_or_insert_with::<String>("a", || panic!("a bug of the caller"))
    }));
    assert!(panics.is_err() && !kv.contains("a").unwrap());
    let within = || kv.get_or_insert_with("a", || Ok("inner".to_owned()));
    assert_eq!(state(kv.get_or_insert_with("a", within)), "55000");
    let second = Duration::from_secs(1);
    let value = kv.get_or_insert_for("a", second, || Ok("outer".to_owned()));
    assert_eq!(value.unwrap(), "outer");
}

#[test]
fn what_is_written_meanwhile_is_what_all_see() {
    let kv = kv();
    let value = kv.get_or_insert_with("a", || {
        kv.put("a", "by hand")?;
        Ok("computed".to_owned())
    });
    assert_eq!(value.unwrap(), "by hand");
}

#[test]
fn a_table_of_other_columns_is_refused() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE few (key BYTEA PRIMARY KEY);
         CREATE TABLE texts (key TEXT PRIMARY KEY, value BYTEA, version BIGINT, created_at TIMESTAMPTZ, expires_at TIMESTAMPTZ);
         CREATE TABLE keyless (key BYTEA, value BYTEA, version BIGINT, created_at TIMESTAMPTZ, expires_at TIMESTAMPTZ);
         CREATE UNLOGGED TABLE fits (key BYTEA PRIMARY KEY, value BYTEA, version BIGINT GENERATED BY DEFAULT AS IDENTITY,
             created_at TIMESTAMPTZ DEFAULT now(), expires_at TIMESTAMPTZ, note TEXT)
             WITH (ttl_expire_after = '1 day', eviction = 'lru', max_rows = 1000)",
    )
    .unwrap();
    for name in ["few", "texts", "keyless"] {
        assert_eq!(state(db.kv(name)), "42809", "{name}");
    }
    db.kv("fits").unwrap().put("a", "b").unwrap();
    let odd = db.kv("an odd; \"name\"").unwrap();
    odd.put("a", "b").unwrap();
    assert!(db.kv("an odd; \"name\"").unwrap().contains("a").unwrap());
    assert_eq!(state(db.kv("")), "42601");
}

#[test]
fn it_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let version = {
        let db = Database::open(directory.path()).unwrap();
        let kv = db.kv("kv").unwrap();
        kv.put("a", "1").unwrap();
        kv.entry("a").unwrap().unwrap().version
    };
    let db = Database::open(directory.path()).unwrap();
    let kv = db.kv("kv").unwrap();
    let written = kv.compare_and_set("a", version, "2").unwrap();
    assert!(written.unwrap() > version);
}
