//! The mistakes that this crate can make on purpose break promises, and a look at what crashes leave shows it: so
//! the looking is worth something. The crash lab looks in the same way, at much more.

use super::testing::{commit, contents, create_table, model, open};
use crate::disk::{Event, Image, Medium, SimDisk, Tear};
use crate::error::Result;
use crate::sabotage::{Mistake, making};

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

#[test]
fn mistakes_are_noticed_and_nothing_else() {
    assert_eq!(first_breach(None), None);
    for mistake in [Mistake::ShortChecksum, Mistake::AcknowledgeBeforeLog] {
        assert!(first_breach(Some(mistake)).is_some(), "{mistake:?}");
    }
}
