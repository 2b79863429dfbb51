//! The decision table of recovery: what each thing that can stand in the log means.
//!
//! The *floor* is the highest position that something bears witness to as durable: the manifest,
//! the closing mark, the first position of a later segment, or the durable position in a whole
//! frame in its place. Nothing below the floor can be missing because of a crash. Nor can a crash leave whole
//! frames out of their places ([`crate::wal::Displaced`] has the proof).
//! `docs/file_format.md` quotes this table, under test.

/// What stands where the next frame should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// A whole frame.
    Whole,
    /// The end of the file.
    EndOfFile,
    /// Bytes that are no frame.
    NoFrame,
    /// Bytes that are no frame, and a whole frame behind them, or there, that is out of its place.
    Displaced,
}

/// What that means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Case {
    /// The frame is applied.
    Replay,
    /// Reading goes on in the next segment.
    NextSegment,
    /// The log ends here.
    End,
    /// Bytes of commits that were never acknowledged: dropped, reported and cut off.
    TornTail,
    /// The file ends where there was more: an error.
    Cut,
    /// Bytes that were once whole are no longer: an error.
    Damage,
}

/// Every combination: standing, whether a later segment exists, whether the position is below the
/// floor. A later segment begins where this one ends, so a position before that is below the floor.
pub(super) const TABLE: [(Standing, bool, bool, Case); 16] = [
    (Standing::Whole, false, false, Case::Replay),
    (Standing::Whole, false, true, Case::Replay),
    (Standing::Whole, true, true, Case::Replay),
    // Frames where the next segment has begun already.
    (Standing::Whole, true, false, Case::Damage),
    (Standing::EndOfFile, false, false, Case::End),
    (Standing::EndOfFile, false, true, Case::Cut),
    (Standing::EndOfFile, true, false, Case::NextSegment),
    (Standing::EndOfFile, true, true, Case::Cut),
    (Standing::NoFrame, false, false, Case::TornTail),
    (Standing::NoFrame, false, true, Case::Damage),
    // A segment is whole and synced before the next one is made.
    (Standing::NoFrame, true, false, Case::Damage),
    (Standing::NoFrame, true, true, Case::Damage),
    // Nothing but damage moves a frame.
    (Standing::Displaced, false, false, Case::Damage),
    (Standing::Displaced, false, true, Case::Damage),
    (Standing::Displaced, true, false, Case::Damage),
    (Standing::Displaced, true, true, Case::Damage),
];

/// Looks the case up.
pub(super) fn decide(standing: Standing, later_segment: bool, below_floor: bool) -> Case {
    let entry = TABLE
        .iter()
        .find(|entry| (entry.0, entry.1, entry.2) == (standing, later_segment, below_floor));
    entry.expect("the table has every combination").3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_combination_once() {
        for standing in [
            Standing::Whole,
            Standing::EndOfFile,
            Standing::NoFrame,
            Standing::Displaced,
        ] {
            for later in [false, true] {
                for below in [false, true] {
                    let fits = |e: &&(Standing, bool, bool, Case)| {
                        (e.0, e.1, e.2) == (standing, later, below)
                    };
                    assert_eq!(TABLE.iter().filter(fits).count(), 1);
                    decide(standing, later, below);
                }
            }
        }
    }

    #[test]
    fn the_document_has_the_same_table() {
        let document = include_str!("../../../docs/file_format.md");
        let yes_no = |flag| if flag { "yes" } else { "no" };
        for (standing, later, below, case) in TABLE {
            let standing = match standing {
                Standing::Whole => "a whole frame",
                Standing::EndOfFile => "the end of the file",
                Standing::NoFrame => "no frame",
                Standing::Displaced => "no frame, and a whole one out of its place",
            };
            let line = format!(
                "| {standing} | {} | {} | {case:?} |",
                yes_no(later),
                yes_no(below)
            );
            assert!(document.contains(&line), "docs/file_format.md lacks {line}");
        }
    }
}
