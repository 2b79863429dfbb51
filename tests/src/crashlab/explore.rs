//! Every crash of a script: at each event of its disk, with each choice of what survives; and of the
//! recovery of what was left, again at each of its events.
//!
//! ```text
//!   script  --event--event--event--event--event-->
//!                      |
//!                      +-- medium: 3 loose things --> 8 images --> distinct ones are opened, and checked
//!                                                                    |
//!                                recovery --event--event--event-->  <+
//!                                             |
//!                                             +-- images --> opened: what the first recovery found
//! ```
//!
//! An image is looked at once, however often it comes up: what is *demanded* of it is gathered, and
//! compared with what was found in it.

use super::choice::{Bounds, choices};
use super::examine::{Depth, Found, examine};
use super::oracle::Expected;
use super::script::{Run, Script};
use crate::random::Random;
use remora::disk::{Event, Image, Medium, SimDisk, Tear};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

/// Images that may wait to be looked at.
const IMAGES_AHEAD: usize = 64;
/// How writes are torn.
pub(super) const TEARS: [Tear; 3] = [Tear::Byte, Tear::Sector(512), Tear::Sector(4096)];
/// Violations after which a script is given up.
const VIOLATIONS_MAX: usize = 5;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// At each event of a script.
    pub script: Bounds,
    /// At each event of a recovery.
    pub recovery: Bounds,
    /// Threads.
    pub threads: usize,
}

/// What an exploration came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Crash points of the script.
    pub points: usize,
    /// Distinct images that a crash of the script leaves.
    pub images: usize,
    /// Further distinct images that a crash of a recovery leaves.
    pub recovery_images: usize,
    /// What was wrong.
    pub violations: Vec<String>,
}

/// What must be found in an image.
#[derive(Clone, Copy, Debug)]
enum Demand {
    /// What is there after some number of steps between these two.
    Between(usize, usize),
    /// What the recovery that was cut short had found.
    Same(u64),
}

/// An image that came up.
#[derive(Debug, Default)]
struct Known {
    /// A hash of what is in it, once it was looked at.
    found: Option<u64>,
    /// What was demanded before that.
    demands: Vec<(Demand, Place)>,
}

/// Where an image came from.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Events of the script before the crash.
    event: usize,
    /// Events of the recovery before the second crash.
    recovery_event: Option<usize>,
}

struct Explorer<'s> {
    script: &'s Script,
    expected: &'s Expected,
    effort: Effort,
    known: Mutex<HashMap<u64, Known>>,
    violations: Mutex<Vec<String>>,
    recovery_images: AtomicUsize,
}

/// Explores all crashes of a script.
pub fn explore(script: &Script, effort: Effort) -> Tally {
    let wrong = |text: String| Tally {
        violations: vec![format!("{}: {text}", script.name)],
        ..Tally::default()
    };
    let expected = match Expected::of(script) {
        Ok(expected) => expected,
        Err(error) => return wrong(error.to_string()),
    };
    let disk = SimDisk::recording();
    match expected.run(script, &disk, false) {
        Ok(run) => explore_run(script, &expected, &run, effort),
        Err(text) => wrong(text),
    }
}

/// Explores all crashes of a script that was run.
pub fn explore_run(script: &Script, expected: &Expected, run: &Run, effort: Effort) -> Tally {
    let explorer = Explorer {
        script,
        expected,
        effort,
        known: Mutex::default(),
        violations: Mutex::default(),
        recovery_images: AtomicUsize::new(0),
    };
    let mut images = 0;
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(IMAGES_AHEAD);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..effort.threads {
            let (receiver, explorer) = (Arc::clone(&receiver), &explorer);
            scope.spawn(move || explorer.work(&receiver));
        }
        // So that workers who have given up are noticed.
        drop(receiver);
        let nothing = Image::default();
        follow(&nothing, &run.events, effort.script, |event, image| {
            let mark = run.mark(event);
            let demand = Demand::Between(mark.acknowledged, mark.begun);
            let place = Place {
                event,
                recovery_event: None,
            };
            if !explorer.claim(&image, demand, place) {
                return true;
            }
            images += 1;
            sender.send((image, place)).is_ok()
        });
    });
    Tally {
        points: run.events.len() + 1,
        images,
        recovery_images: explorer.recovery_images.into_inner(),
        violations: explorer.violations.into_inner().unwrap_or_default(),
    }
}

/// Gives each image that a crash may leave, with the number of events before it, to the caller, until
/// that has enough.
fn follow(
    start: &Image,
    events: &[Event],
    bounds: Bounds,
    mut each: impl FnMut(usize, Image) -> bool,
) {
    let mut medium = Medium::new(start);
    let mut random = Random::new(events.len() as u64);
    for count in 0..=events.len() {
        if let Some(event) = count.checked_sub(1) {
            medium.apply(&events[event]);
        }
        for tear in TEARS {
            let loose = medium.loose(tear);
            // A write may end at any of its bytes.
            let bytes = medium.loose(Tear::Sector(1));
            if tear == Tear::Byte && bytes.len() <= bounds.bytes {
                for end in 0..=bytes.len() {
                    let go_on = each(count, medium.image(&bytes, |at| at < end, false));
                    if !go_on || !each(count, medium.image(&bytes, |at| at >= end, false)) {
                        return;
                    }
                }
            }
            let overlaps = medium.overlaps(&loose);
            for choice in choices(loose.len(), bounds, &mut random) {
                let mut go_on = each(count, medium.image(&loose, |at| choice[at], false));
                if overlaps {
                    go_on &= each(count, medium.image(&loose, |at| choice[at], true));
                }
                if !go_on {
                    return;
                }
            }
        }
    }
}

impl Explorer<'_> {
    /// Demands something of an image; whether it is new, and the caller's to look at.
    fn claim(&self, image: &Image, demand: Demand, place: Place) -> bool {
        let mut known = self.known.lock().expect("no panic under the lock");
        let mut is_new = false;
        let entry = known.entry(image.digest()).or_insert_with(|| {
            is_new = true;
            Known::default()
        });
        match entry.found {
            Some(found) => {
                drop(known);
                self.compare(found, None, demand, place);
            }
            None => entry.demands.push((demand, place)),
        }
        is_new
    }

    /// Looks at images of the script, with their recoveries, as they come.
    fn work(&self, images: &Mutex<Receiver<(Image, Place)>>) {
        while !self.is_hopeless() {
            let next = images.lock().expect("no panic under the lock").recv();
            match next {
                Ok((image, place)) => self.examine_script_image(&image, place),
                Err(_) => return,
            }
        }
    }

    fn is_hopeless(&self) -> bool {
        let violations = self.violations.lock().expect("no panic under the lock");
        violations.len() >= VIOLATIONS_MAX
    }

    fn examine_script_image(&self, image: &Image, place: Place) {
        let Some(found) = self.examine_image(image, Depth::All, place) else {
            return;
        };
        follow(
            image,
            &found.events,
            self.effort.recovery,
            |event, image| {
                let place = Place {
                    recovery_event: Some(event),
                    ..place
                };
                if self.claim(&image, Demand::Same(found.digest), place) {
                    self.recovery_images.fetch_add(1, Relaxed);
                    self.examine_image(&image, Depth::Contents, place);
                }
                !self.is_hopeless()
            },
        );
    }

    /// Looks at an image, and compares it with all that is demanded of it.
    fn examine_image(&self, image: &Image, depth: Depth, place: Place) -> Option<Found> {
        let found = match examine(self.script, image, depth) {
            Ok(found) => found,
            Err(text) => {
                self.violation(place, &text);
                return None;
            }
        };
        let demands = {
            let mut known = self.known.lock().expect("no panic under the lock");
            let entry = known.entry(image.digest()).or_default();
            entry.found = Some(found.digest);
            std::mem::take(&mut entry.demands)
        };
        for (demand, place) in demands {
            self.compare(found.digest, Some(&found.contents), demand, place);
        }
        Some(found)
    }

    fn compare(&self, found: u64, contents: Option<&str>, demand: Demand, place: Place) {
        let contents = contents.unwrap_or("(seen before)");
        match demand {
            Demand::Between(least, most) if !self.expected.is_between(found, least, most) => {
                let wanted = self.expected.contents(least);
                let text = format!(
                    "neither what is there after {least} steps nor any up to {most}: {contents}\n\
                     after {least} steps there is: {wanted}"
                );
                self.violation(place, &text);
            }
            Demand::Same(before) if before != found => {
                let text = format!("not what the recovery before had found: {contents}");
                self.violation(place, &text);
            }
            _ => {}
        }
    }

    fn violation(&self, place: Place, text: &str) {
        let recovery = place.recovery_event;
        let recovery = recovery.map_or(String::new(), |at| format!(", and {at} of recovery"));
        let name = &self.script.name;
        let mut violations = self.violations.lock().expect("no panic under the lock");
        violations.push(format!(
            "{name}, after {} events{recovery}: {text}",
            place.event
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crashlab::saboteur::Mutation;
    use crate::crashlab::workloads;

    const EFFORT: Effort = Effort {
        script: Bounds::QUICK,
        recovery: Bounds::LEAST,
        threads: 2,
    };

    #[test]
    fn what_was_acknowledged_is_there_whatever_the_disk_kept() {
        let script = &workloads::all()[0];
        let tally = explore(script, EFFORT);
        assert!(tally.violations.is_empty(), "{:#?}", tally.violations);
        assert!(tally.images > 50 && tally.recovery_images > 50, "{tally:?}");
    }

    #[test]
    fn mistakes_are_noticed() {
        // Those of the engine would be made in other tests, too.
        for mutation in Mutation::ALL.iter().filter(|one| !one.is_of_engine()) {
            let noticed = workloads::all().into_iter().any(|mut script| {
                script.mutation = Some(*mutation);
                !explore(&script, EFFORT).violations.is_empty()
            });
            assert!(noticed, "{mutation:?}");
        }
    }
}
