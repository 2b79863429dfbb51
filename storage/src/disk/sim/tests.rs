//! What a power loss may leave of a simulated disk.

use super::*;
use std::collections::BTreeSet;

/// All that a file may hold after a power loss now; `None` where there is none.
fn fates(disk: &SimDisk, path: &str, tear: Tear) -> BTreeSet<Option<Vec<u8>>> {
    let medium = disk.medium();
    let loose = medium.loose(tear);
    assert!(loose.len() < 16, "{loose:?}");
    let mut fates = BTreeSet::new();
    for choice in 0..1_u32 << loose.len() {
        for earlier_on_top in [false, true] {
            let image = medium.image(&loose, |at| choice >> at & 1 == 1, earlier_on_top);
            fates.insert(image.files.get(path).map(|bytes| bytes.to_vec()));
        }
    }
    fates
}

fn found(text: &[&str]) -> BTreeSet<Option<Vec<u8>>> {
    text.iter()
        .map(|text| Some(text.as_bytes().to_vec()))
        .collect()
}

/// A file "a" that is durable with these bytes.
fn disk_with(bytes: &[u8]) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::new();
    let file = disk.create("a").unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    (disk, file)
}

#[test]
fn sectors_of_a_write_arrive_one_by_one() {
    let (disk, file) = disk_with(b"aaaaaaaa");
    file.write_at(2, b"xxxx").unwrap();
    let torn = fates(&disk, "a", Tear::Sector(4));
    assert_eq!(
        torn,
        found(&["aaaaaaaa", "aaxxaaaa", "aaaaxxaa", "aaxxxxaa"])
    );
    let whole = fates(&disk, "a", Tear::Sector(8));
    assert_eq!(whole, found(&["aaaaaaaa", "aaxxxxaa"]));
    assert_eq!(fates(&disk, "a", Tear::Byte).len(), 16, "four pieces");
    file.sync().unwrap();
    assert_eq!(fates(&disk, "a", Tear::Byte), found(&["aaxxxxaa"]));
}

#[test]
fn what_overlaps_arrives_in_either_order_and_a_length_without_bytes() {
    let (disk, file) = disk_with(b"a");
    file.write_at(0, b"b").unwrap();
    file.write_at(0, b"c").unwrap();
    assert_eq!(fates(&disk, "a", Tear::Sector(8)), found(&["a", "b", "c"]));
    let medium = disk.medium();
    assert!(medium.overlaps(&medium.loose(Tear::Byte)));
    let (disk, file) = disk_with(b"a");
    file.write_at(1, b"bc").unwrap();
    let medium = disk.medium();
    assert!(!medium.overlaps(&medium.loose(Tear::Byte)));
    let fates = fates(&disk, "a", Tear::Sector(8));
    assert_eq!(fates, found(&["a", "abc", "a\0\0"]));
}

#[test]
fn a_cut_may_be_lost_and_what_follows_it_not() {
    let (disk, file) = disk_with(b"abcd");
    file.truncate(1).unwrap();
    file.write_at(1, b"x").unwrap();
    let fates = fates(&disk, "a", Tear::Sector(8));
    let possible = found(&["abcd", "a", "axcd", "ax", "a\0", "a\0cd"]);
    assert!(fates.is_subset(&possible), "{fates:?}");
    assert!(
        found(&["abcd", "a", "axcd", "ax"]).is_subset(&fates),
        "{fates:?}"
    );
}

#[test]
fn names_are_lost_one_by_one_and_a_rename_is_never_halved() {
    let (disk, _) = disk_with(b"old");
    let new = disk.create("new").unwrap();
    new.write_at(0, b"new").unwrap();
    new.sync().unwrap();
    disk.rename("new", "a").unwrap();
    assert_eq!(fates(&disk, "a", Tear::Byte), found(&["old", "new"]));
    let mut lost = fates(&disk, "new", Tear::Byte);
    assert!(lost.remove(&None) && lost == found(&["new"]), "{lost:?}");
    disk.sync_dir("").unwrap();
    assert_eq!(fates(&disk, "a", Tear::Byte), found(&["new"]));
}

/// After a failed sync the cache takes the bytes for written: a sync that works says nothing of them.
#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let (disk, file) = disk_with(b"aa");
    file.write_at(0, b"b").unwrap();
    disk.fail(0, Fault::Once(ErrorKind::Other));
    assert!(file.sync().is_err());
    file.write_at(1, b"c").unwrap();
    file.sync().unwrap();
    assert_eq!(fates(&disk, "a", Tear::Byte), found(&["ac", "bc"]));
    assert_eq!(**disk.image().files["a"], *b"bc", "the program sees it");
}

#[test]
fn a_full_disk_a_short_write_and_one_that_fails_for_good() {
    let (disk, file) = disk_with(b"abcd");
    disk.set_capacity(Some(5));
    assert_eq!(file.write_at(3, b"xyz").unwrap_err().sqlstate(), "53100");
    assert_eq!(
        **disk.image().files["a"],
        *b"abcxy",
        "what there is room for"
    );
    assert_eq!(file.write_at(6, b"z").unwrap_err().sqlstate(), "53100");
    file.write_at(3, b"xy").unwrap();
    disk.set_capacity(None);
    disk.fail(0, Fault::InPart(ErrorKind::StorageFull));
    assert_eq!(file.write_at(5, b"1234").unwrap_err().sqlstate(), "53100");
    assert_eq!(**disk.image().files["a"], *b"abcxy12");
    disk.fail(0, Fault::Onwards(ErrorKind::Other));
    assert!(file.sync().is_err() && disk.sync_dir("").is_err() && file.truncate(0).is_err());
    assert_eq!(file.len().unwrap(), 7, "it can be read");
    disk.mend();
    file.sync().unwrap();
}

#[test]
fn a_run_can_be_followed_event_by_event() {
    let disk = SimDisk::recording();
    disk.create_folder("x/y").unwrap();
    let file = disk.create("x/y/f").unwrap();
    file.write_at(0, b"1").unwrap();
    file.sync().unwrap();
    disk.sync_dir("x/y").unwrap();
    disk.rename("x/y/f", "g").unwrap();
    disk.sync_dir("").unwrap();
    let mut medium = Medium::new(&Image::default());
    let events = disk.take_events();
    assert_eq!(events.len() as u64, disk.operations());
    for event in &events {
        medium.apply(event);
    }
    // The new name's folder was synced, the old one's was not: the file may have both.
    let loose = medium.loose(Tear::Byte);
    assert_eq!(loose, [Loose::Names(0)]);
    let both = medium.image(&loose, |_| false, false);
    assert_eq!(both.files.keys().collect::<Vec<_>>(), ["g", "x/y/f"]);
    assert_eq!(both, disk.crashed().image());
    assert_ne!(both.digest(), disk.image().digest());
    let again = SimDisk::with(&both);
    assert_eq!(again.list("x").unwrap(), ["y"]);
    assert_eq!(again.image(), both);
}

#[test]
fn bytes_decay() {
    let (disk, _) = disk_with(b"abcdef");
    let good = disk.image();
    let decayed = |decay| {
        let mut image = good.clone();
        let changed = image.decay("a", decay);
        assert_eq!(changed, image != good);
        image.files["a"].to_vec()
    };
    assert_eq!(decayed(Decay::Flip { at: 1, bit: 0 }), b"accdef");
    assert_eq!(decayed(Decay::Flip { at: 9, bit: 0 }), b"abcdef");
    assert_eq!(decayed(Decay::Zero { at: 4, len: 9 }), b"abcd\0\0");
    let swap = Decay::Swap {
        one: 0,
        other: 3,
        len: 2,
    };
    assert_eq!(decayed(swap), b"decabf");
    assert_eq!(decayed(Decay::Cut { len: 2 }), b"ab");
    let insert = |at, len| Decay::Insert { at, len, seed: 3 };
    let inserted = decayed(insert(2, 3));
    assert_eq!((&inserted[..2], &inserted[5..]), (&b"ab"[..], &b"cdef"[..]));
    assert_eq!(decayed(insert(9, 3)), b"abcdef");
    assert_eq!(decayed(Decay::Delete { at: 4, len: 9 }), b"abcd");
    assert_eq!(decayed(Decay::Delete { at: 9, len: 1 }), b"abcdef");
    let duplicate = |at, len, to| Decay::Duplicate { at, len, to };
    assert_eq!(decayed(duplicate(0, 2, 4)), b"abcdabef");
    assert_eq!(decayed(duplicate(4, 9, 6)), b"abcdefef");
    let moved = |at, len, to| Decay::Move { at, len, to };
    assert_eq!(decayed(moved(0, 2, 3)), b"cdeabf");
    assert_eq!(decayed(moved(4, 2, 0)), b"efabcd");
    assert_eq!(decayed(moved(7, 2, 0)), b"abcdef");
}

/// The process dies, the system goes on: the next one finds everything, and nothing of it more durable.
#[test]
fn the_next_process_finds_what_the_cache_has() {
    let (disk, file) = disk_with(b"old");
    let lock = disk.lock("LOCK").unwrap();
    file.write_at(0, b"new").unwrap();
    let next = disk.restart();
    let held = next.lock("LOCK").unwrap();
    drop(lock);
    assert!(next.lock("LOCK").is_err(), "the dead let go of nothing");
    drop(held);
    for refused in [
        file.sync(),
        file.write_at(0, b"bad"),
        file.truncate(0),
        disk.sync_dir(""),
        disk.remove("a"),
        disk.open("a").map(drop),
    ] {
        assert_eq!(refused.unwrap_err().sqlstate(), "58030");
    }
    assert_eq!(**next.image().files["a"], *b"new");
    let either = found(&["old", "new"]);
    assert_eq!(fates(&next, "a", Tear::Sector(8)), either);
    next.open("a").unwrap().sync().unwrap();
    assert_eq!(fates(&next, "a", Tear::Sector(8)), found(&["new"]));
}

#[test]
fn time_is_what_the_run_makes_of_it() {
    let took = |disk: &SimDisk| disk.now().duration_since(UNIX_EPOCH).unwrap() - BEGINNING;
    let (disk, file) = disk_with(b"a");
    assert_eq!(took(&disk), OPERATION_TIME * 4);
    let then = disk.instant();
    disk.advance(Duration::from_secs(1));
    disk.set_sync_time(Duration::from_millis(7));
    file.sync().unwrap();
    file.len().unwrap();
    let expected = Duration::from_millis(1007) + OPERATION_TIME * 5;
    assert_eq!((took(&disk), disk.elapsed()), (expected, expected));
    assert_eq!(disk.instant() - then, expected - OPERATION_TIME * 4);
}
