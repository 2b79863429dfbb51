//! The mistakes that this crate can make on purpose break promises, and a look at what crashes leave shows it: so
//! the looking is worth something. The crash lab looks in the same way, at much more.

use crate::disk::{Event, Image, Medium, SimDisk, Tear};
use crate::error::Result;
use crate::sabotage::{Mistake, making};
use crate::store::testing::{commit, contents, create_table, model, open};
use crate::store::{Store, StoreOptions};
use std::sync::Arc;

const COMMITS: i64 = 3;

/// Some commits: all that happened to the disk, and how much of it had when each was acknowledged.
fn story() -> Result<(Vec<Event>, Vec<usize>)> {
    let disk = SimDisk::recording();
    let (store, _) = open(disk.clone())?;
    create_table(&store)?;
    let mut events = disk.take_events();
    let mut acknowledged = vec![events.len()];
    for n in 0..COMMITS {
        commit(&store, n)?;
        events.extend(disk.take_events());
        acknowledged.push(events.len());
    }
    drop(store);
    events.extend(disk.take_events());
    Ok((events, acknowledged))
}

/// What is wrong with an image that must hold so many commits, or one more.
fn breach(image: &Image, least: i64) -> Option<String> {
    let store = match open(SimDisk::with(image)) {
        Ok((store, _)) => store,
        Err(error) => return Some(format!("it does not open: {error}")),
    };
    let found = contents(&store);
    let is_right = [least, least + 1].iter().any(|n| model(*n) == found);
    (!is_right).then(|| format!("{least} commits were acknowledged, and there is {found:?}"))
}

/// The first promise that a crash breaks, where `mistake` is made: by who writes, and for a checksum by who
/// reads, too.
fn first_breach(mistake: Option<Mistake>) -> Option<String> {
    let told = match mistake {
        Some(mistake) => making(mistake, story),
        None => story(),
    };
    let (events, acknowledged) = told.expect("nothing fails");
    let mut medium = Medium::new(&Image::default());
    for (at, event) in events.iter().enumerate() {
        medium.apply(event);
        let events = at + 1;
        let commits = acknowledged.partition_point(|seen| *seen <= events);
        let Some(least) = commits.checked_sub(1) else {
            continue;
        };
        let loose = medium.loose(Tear::Byte);
        assert!(loose.len() < 10, "{loose:?}");
        for choice in 0..1_u32 << loose.len() {
            let image = medium.image(&loose, |thing| choice >> thing & 1 == 1, false);
            let found = match mistake {
                Some(mistake @ Mistake::ShortChecksum) => {
                    making(mistake, || breach(&image, least as i64))
                }
                _ => breach(&image, least as i64),
            };
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

/// The first promise that is broken where the disk has room for so many bytes, and later for more: what can be read is
/// what a crash leaves, and whatever it leaves opens.
fn first_breach_when_full() -> Option<String> {
    let options = StoreOptions {
        segment_bytes: Some(400),
        ..crate::store::testing::options()
    };
    for room in (0..400).step_by(9) {
        let disk = SimDisk::new();
        let (store, _) = Store::open_on(Arc::new(disk.clone()), options.clone()).expect("a store");
        create_table(&store).expect("a table");
        disk.set_capacity(Some(disk.used() + room));
        for n in 0..6 {
            if n == 3 {
                disk.set_capacity(None);
            }
            let _ = commit(&store, n);
            // Who begins tries first whether there is room.
            let shown = contents(&store);
            let left = disk.crashed();
            let left = match open(left) {
                Ok((store, _)) => contents(&store),
                Err(error) => return Some(format!("room for {room}: {error}")),
            };
            if shown != left {
                return Some(format!("room for {room}: a crash leaves {left:?}"));
            }
        }
    }
    None
}

#[test]
fn mistakes_on_a_full_disk_are_noticed_and_nothing_else() {
    assert_eq!(first_breach_when_full(), None);
    for mistake in [Mistake::ShowQueued, Mistake::LeaveAttempt] {
        let breach = making(mistake, first_breach_when_full);
        assert!(breach.is_some(), "{mistake:?}");
    }
}

#[test]
fn mistakes_are_noticed_and_nothing_else() {
    assert_eq!(first_breach(None), None);
    for mistake in [Mistake::ShortChecksum, Mistake::AcknowledgeBeforeLog] {
        assert!(first_breach(Some(mistake)).is_some(), "{mistake:?}");
    }
}
