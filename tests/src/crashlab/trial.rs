//! One seed: a random script, perhaps a fault of its disk, some crashes, and crashes of the recoveries.

use super::course::{Interruption, Kind, Mark, Run, States};
use super::examine::{Depth, Found, Promise, examine};
use super::explore::TEARS;
use super::random_script;
use super::script::Script;
use crate::random::Random;
use remora::testing::{Decay, Event, Fault, Image, Medium, SimDisk};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;

/// Crashes of one run.
const CRASHES: usize = 4;
/// Crashes in a row: one of the script, the others of recoveries.
const DEPTH_MAX: usize = 3;
/// Ways in which a closed database decays.
const DECAYS: usize = 3;

/// What seeds came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Steps of scripts.
    pub steps: usize,
    /// Runs in which the disk failed, or a process was killed.
    pub interruptions: usize,
    /// Images that were opened after a crash.
    pub images: usize,
    /// Images that were opened after bytes went bad.
    pub decayed: usize,
    /// A hash of all that happened to disks and was found on them, the same whenever the same seeds are tried.
    pub trace: u64,
}

/// Something was lost, or more.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Its script.
    pub script: Script,
    /// What was in its way, if anything.
    pub interruption: Option<Interruption>,
    /// What was wrong.
    pub text: String,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.interruptions += other.interruptions;
        self.images += other.images;
        self.decayed += other.decayed;
        // In whatever order seeds are done.
        self.trace = self.trace.wrapping_add(other.trace);
    }
}

/// Tries a seed.
///
/// # Errors
/// What was wrong.
pub fn trial(seed: u64) -> Result<Count, Box<Failure>> {
    let script = random_script::script(seed);
    let mut interruption = None;
    attempt(seed, &script, &mut interruption).map_err(|text| {
        Box::new(Failure {
            seed,
            script,
            interruption,
            text,
        })
    })
}

fn attempt(
    seed: u64,
    script: &Script,
    interruption: &mut Option<Interruption>,
) -> Result<Count, String> {
    // Another sequence than that of the script.
    let mut random = Random::new(!seed);
    let mut trace = DefaultHasher::new();
    let disk = SimDisk::recording();
    let mut run = Run::of(script, &disk, None)?;
    note(&run.events, &mut trace);
    let mut count = Count {
        steps: script.steps.len(),
        ..Count::default()
    };
    if random.below(2) == 0 {
        *interruption = Some(Interruption {
            at: random.below(disk.operations()),
            kind: any_kind(&mut random),
            steps_after: usize::MAX,
        });
        run = Run::of(script, &SimDisk::recording(), *interruption)?;
        note(&run.events, &mut trace);
        count.interruptions = 1;
    } else {
        count.decayed = decays(script, &run.states, &disk.image(), &mut random)?;
    }
    count.images = crashes(script, &run, &mut random, &mut trace)?;
    count.trace = trace.finish();
    Ok(count)
}

/// What happened to a disk is a part of the trace.
fn note(events: &[Event], trace: &mut DefaultHasher) {
    (events.len(), format!("{events:?}")).hash(trace);
}

/// Something that gets in the way.
fn any_kind(random: &mut Random) -> Kind {
    let error = match random.below(2) {
        0 => ErrorKind::Other,
        _ => ErrorKind::StorageFull,
    };
    let fault = match random.below(3) {
        0 => Fault::Once(error),
        1 => Fault::Onwards(error),
        _ => Fault::InPart(error),
    };
    match random.below(4) {
        0 => Kind::Kill,
        1 => Kind::FaultThenKill(fault),
        2 if error == ErrorKind::StorageFull => Kind::Full(fault),
        _ => Kind::FaultThenClose(fault),
    }
}

/// Crashes at some moments of a run, the last one among them.
fn crashes(
    script: &Script,
    run: &Run,
    random: &mut Random,
    trace: &mut DefaultHasher,
) -> Result<usize, String> {
    let all = run.events.len() as u64 + 1;
    let mut points: Vec<usize> = (1..CRASHES).map(|_| random.below(all) as usize).collect();
    points.push(run.events.len());
    points.sort_unstable();
    let mut medium = Medium::new(&Image::default());
    let mut followed = 0;
    let mut images = 0;
    for point in points {
        run.events[followed..point]
            .iter()
            .for_each(|event| medium.apply(event));
        followed = point;
        let image = any_image(&medium, random);
        image.digest().hash(trace);
        images += crash(script, &run.states, &image, run.mark(point), random, trace)
            .map_err(|text| format!("a crash after {point} events: {text}"))?;
    }
    Ok(images)
}

/// Something that the medium may have kept.
fn any_image(medium: &Medium, random: &mut Random) -> Image {
    let tear = TEARS[random.below(TEARS.len() as u64) as usize];
    let loose = medium.loose(tear);
    let density = random.below(9);
    let kept: Vec<bool> = loose.iter().map(|_| random.below(8) < density).collect();
    medium.image(&loose, |at| kept[at], random.below(4) == 0)
}

/// Looks at what a crash left, and crashes its recovery.
fn crash(
    script: &Script,
    states: &States,
    image: &Image,
    mark: Mark,
    random: &mut Random,
    trace: &mut DefaultHasher,
) -> Result<usize, String> {
    let first = examine(script, image, Depth::All).map_err(|breach| breach.text)?;
    if !states.is_between(first.digest, mark.acknowledged, mark.begun) {
        return Err(format!(
            "neither what is there after {} steps nor any up to {}: {}\n\
             after {0} steps there is: {}",
            mark.acknowledged,
            mark.begun,
            first.contents,
            states.contents(mark.acknowledged)
        ));
    }
    first.digest.hash(trace);
    let (mut image, mut events) = (image.clone(), first.events);
    for depth in 1..DEPTH_MAX {
        let mut medium = Medium::new(&image);
        let point = random.below(events.len() as u64 + 1) as usize;
        events[..point].iter().for_each(|event| medium.apply(event));
        image = any_image(&medium, random);
        let again = examine(script, &image, Depth::Contents);
        let again: Found = again.map_err(|breach| breach.text)?;
        if again.digest != first.digest {
            return Err(format!(
                "after {depth} crashes of recovery, the last after {point} events, there is {}\n\
                 and not: {}",
                again.contents, first.contents
            ));
        }
        events = again.events;
    }
    Ok(DEPTH_MAX)
}

/// Lets bytes of a closed database go bad: it is refused, or nothing that counts was hit.
fn decays(
    script: &Script,
    states: &States,
    closed: &Image,
    random: &mut Random,
) -> Result<usize, String> {
    let paths: Vec<&String> = closed.files.keys().collect();
    for _ in 0..DECAYS {
        let path = paths[random.below(paths.len() as u64) as usize];
        let length = closed.files[path].len() as u64;
        if length == 0 {
            continue;
        }
        let at = random.below(length) as usize;
        let len = 1 + random.below(600) as usize;
        let to = random.below(length + 1) as usize;
        let decay = match random.below(8) {
            4 => Decay::Insert {
                at,
                len,
                seed: random.bits(),
            },
            5 => Decay::Delete { at, len },
            6 => Decay::Duplicate { at, len, to },
            7 => Decay::Move { at, len, to },
            0 => Decay::Zero { at, len: 512 },
            1 => Decay::Cut { len: at },
            2 => Decay::Swap {
                one: at,
                other: random.below(length) as usize,
                len: 1 + random.below(64) as usize,
            },
            _ => Decay::Flip {
                at,
                bit: random.below(8) as u8,
            },
        };
        let mut image = closed.clone();
        image.decay(path, decay);
        let end = script.steps.len();
        match examine(script, &image, Depth::Contents) {
            Ok(found) if states.is_between(found.digest, end, end) => {}
            Ok(found) => {
                let text = format!(
                    "{path} with {decay:?} is taken for healthy: {}",
                    found.contents
                );
                return Err(text);
            }
            Err(breach) if breach.promise == Promise::Opens => {}
            Err(breach) => return Err(format!("{path} with {decay:?}: {}", breach.text)),
        }
    }
    Ok(DECAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever has the seed has the run: each byte that is written, each that is found.
    #[test]
    fn a_seed_gives_the_same_run_again() {
        for seed in 0..12 {
            let [one, other] = [(); 2].map(|()| match trial(seed) {
                Ok(count) => (count.trace, count.images),
                Err(failure) => panic!("seed {seed}: {}", failure.text),
            });
            assert_eq!(one, other, "seed {seed}");
        }
    }
}
