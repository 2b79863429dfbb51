//! Victims: rows that a cache gives up next, found by a pass over its use marks.

use super::{EvictionPolicy, RowCache};
use crate::block::Block;
use crate::ids::{BlockNo, RowId, Slot};
use crate::mvcc::Operation;
use crate::succinct::NO_USE;
use crate::table::Table;
use std::collections::VecDeque;

/// Slots that are tried for a random row before they are looked at in order.
const TRIES: usize = 64;

/// A row that may be given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victim {
    /// Which.
    pub row: RowId,
    /// Its mark when it was found; `NO_USE` where that does not count.
    pub mark: u8,
}

/// The victims that were found and are not evicted yet.
#[derive(Debug, Default)]
pub struct Victims {
    queue: VecDeque<Victim>,
    /// Rows from here on came since the last pass.
    new_from: RowId,
    /// Random rows that were drawn.
    drawn: u64,
    /// When rows that have expired were looked for, in microseconds.
    pub expired_at: Option<i64>,
}

impl Victims {
    /// Adds rows that go first, in order, and that nobody can use any more.
    pub fn add(&mut self, rows: impl IntoIterator<Item = RowId>) {
        let mark = NO_USE;
        self.queue
            .extend(rows.into_iter().map(|row| Victim { row, mark }));
    }

    /// Adds rows that go before those that are known.
    pub fn add_first(&mut self, rows: Vec<RowId>) {
        let mark = NO_USE;
        for row in rows.into_iter().rev() {
            self.queue.push_front(Victim { row, mark });
        }
    }

    /// Whether none are known.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets those that are known: they were found by other rules.
    pub fn clear(&mut self) {
        self.queue.clear();
    }
}

/// Marks there are.
const MARKS: usize = 1 << u8::BITS;

/// Which marks a pass takes.
struct Choice {
    /// The rank of each mark.
    ranks: [u8; MARKS],
    /// Whether rows with a mark are taken.
    is_chosen: [bool; MARKS],
    /// The highest rank that is taken.
    highest: u8,
}

impl Choice {
    /// Of so many rows of each mark, those of the lowest ranks until there are as many as are wanted.
    fn of(cache: &RowCache, counts: &[usize; MARKS], wanted: usize) -> Self {
        let ranks = std::array::from_fn(|mark| cache.rank(mark as u8));
        let mut by_rank = [0; MARKS];
        for (mark, count) in counts.iter().enumerate().skip(1) {
            by_rank[usize::from(ranks[mark])] += count;
        }
        let mut sum = 0;
        let enough = by_rank.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        let highest = enough.unwrap_or(MARKS - 1) as u8;
        let is_chosen = std::array::from_fn(|mark| mark as u8 != NO_USE && ranks[mark] <= highest);
        Self {
            ranks,
            is_chosen,
            highest,
        }
    }
}

impl Table {
    /// The next row that the cache gives up, with its mark; `None` where a pass finds none. The caller holds `victims`.
    pub fn next_victim(
        &self,
        cache: &RowCache,
        victims: &mut Victims,
        proof: &Operation<'_>,
    ) -> Option<Victim> {
        if let Some(known) = self.known_victim(victims, proof) {
            return Some(known);
        }
        if cache.policy() == EvictionPolicy::Random
            && let Some(random) = self.random_row(cache, victims, proof)
        {
            return Some(random);
        }
        self.find_victims(cache, victims, proof);
        self.known_victim(victims, proof)
    }

    /// The next victim of which nothing has been heard since it was found.
    fn known_victim(&self, victims: &mut Victims, proof: &Operation<'_>) -> Option<Victim> {
        while let Some(victim) = victims.queue.pop_front() {
            let Some((block, slot)) = self.place(victim.row, proof) else {
                continue;
            };
            let mark = block.uses().map_or(NO_USE, |uses| uses.get(slot));
            if victim.mark == NO_USE || victim.mark == mark {
                return Some(Victim { mark, ..victim });
            }
        }
        None
    }

    fn random_row(
        &self,
        cache: &RowCache,
        victims: &mut Victims,
        proof: &Operation<'_>,
    ) -> Option<Victim> {
        let blocks = self.numbered_blocks(proof);
        let slots: usize = blocks.iter().map(|(_, block)| block.claimed()).sum();
        if slots == 0 {
            return None;
        }
        for _ in 0..TRIES {
            victims.drawn += 1;
            let mut at = cache.random(victims.drawn) as usize % slots;
            let found = blocks.iter().find(|(_, block)| {
                let is_here = at < block.claimed();
                at -= if is_here { 0 } else { block.claimed() };
                is_here
            });
            let (number, block) = found?;
            let slot = Slot(at as u16);
            let mark = block.uses().map_or(NO_USE, |uses| uses.get(slot));
            if mark != NO_USE {
                let row = RowId::new(*number, slot);
                return Some(Victim { row, mark });
            }
        }
        None
    }

    fn numbered_blocks<'a>(&'a self, proof: &'a Operation<'a>) -> Vec<(BlockNo, &'a Block)> {
        let numbers = self.blocks();
        let there =
            numbers.filter_map(|number| Some((number, self.directory.get(number)?.get(proof)?)));
        there.collect()
    }

    /// A pass: fills the queue with the rows of the lowest ranks.
    fn find_victims(&self, cache: &RowCache, victims: &mut Victims, proof: &Operation<'_>) {
        let numbered = self.numbered_blocks(proof);
        let blocks: Vec<&Block> = numbered.iter().map(|(_, block)| *block).collect();
        cache.tidy(&blocks, self.pool.ledger());
        let wanted = cache.pass_rows();
        let mut counts = [0; MARKS];
        for uses in blocks.iter().filter_map(|block| block.uses()) {
            uses.iter()
                .for_each(|(_, mark)| counts[usize::from(mark)] += 1);
        }
        let choice = Choice::of(cache, &counts, wanted);
        let new_from = std::mem::replace(&mut victims.new_from, self.next_row());
        let mut found: Vec<(u8, Victim)> = Vec::with_capacity(2 * wanted);
        let mut of_highest = 0;
        let mut take = |row: RowId, mark: u8| {
            let rank = choice.ranks[usize::from(mark)];
            // Some of the highest rank are left out: they are looked at again in the next pass.
            if rank < choice.highest || of_highest < wanted {
                of_highest += usize::from(rank == choice.highest);
                found.push((rank, Victim { row, mark }));
            }
        };
        let chosen = |(_, mark): &(Slot, u8)| choice.is_chosen[usize::from(*mark)];
        match cache.counts_keys() {
            false => {
                for (number, block) in &numbered {
                    let marks = block.uses().into_iter().flat_map(|uses| uses.iter());
                    let marks = marks.filter(chosen);
                    marks.for_each(|(slot, mark)| take(RowId::new(*number, slot), mark));
                }
            }
            true => {
                for is_new in [false, true] {
                    let may_have = |number: BlockNo| match is_new {
                        true => number >= new_from.block(),
                        false => number <= new_from.block(),
                    };
                    for (number, block) in numbered.iter().rev() {
                        if !may_have(*number) {
                            continue;
                        }
                        let marks = block.uses().into_iter().flat_map(|uses| uses.iter().rev());
                        let marks = marks.filter(chosen);
                        let rows = marks.map(|(slot, mark)| (RowId::new(*number, slot), mark));
                        rows.filter(|(row, _)| (*row >= new_from) == is_new)
                            .for_each(|(row, mark)| take(row, mark));
                    }
                }
            }
        }
        // Stable: rows of one rank stay in their order.
        found.sort_by_key(|(rank, _)| *rank);
        victims
            .queue
            .extend(found.into_iter().take(wanted).map(|(_, victim)| victim));
    }
}
