//! Slot sets: some of the slots of one block, in as little memory as they take.
//!
//! ```text
//!   up to 64 slots    in order, two bytes each
//!   more              a bit for each slot of the largest block there can be: 2 KiB
//! ```
//!
//! Bytes: the number of runs of neighbouring slots, and for each of them the gap before it and its length less one,
//! all of them varints; or zero and the 256 words of the bits, whichever is shorter.

use crate::codec::{DecodeError, Decoder, put_varint};
use crate::ids::{BLOCK_SLOTS, Slot};
use smallvec::SmallVec;
use std::ops::Range;

/// Slots that are kept one by one.
const FEW_MAX: usize = 64;
const WORD_BITS: usize = u64::BITS as usize;
const WORDS: usize = BLOCK_SLOTS / WORD_BITS;
const BITS_BYTES: usize = WORDS * size_of::<u64>();

/// Some slots of one block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotSet(Form);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    /// In order.
    Few(SmallVec<[u16; 8]>),
    Many(Box<Bits>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Bits {
    words: [u64; WORDS],
    count: usize,
}

impl Default for SlotSet {
    fn default() -> Self {
        Self(Form::Few(SmallVec::new()))
    }
}

impl SlotSet {
    /// Adds a slot. Returns whether it was not there.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let slot = slot.0;
        debug_assert!(usize::from(slot) < BLOCK_SLOTS, "a slot of a block");
        match &mut self.0 {
            Form::Few(slots) => {
                let at = match slots.last() {
                    Some(last) if *last < slot => slots.len(),
                    _ => match slots.binary_search(&slot) {
                        Ok(_) => return false,
                        Err(at) => at,
                    },
                };
                if slots.len() == FEW_MAX {
                    let mut bits = Bits::of(slots);
                    bits.insert(slot);
                    self.0 = Form::Many(Box::new(bits));
                } else {
                    slots.insert(at, slot);
                }
                true
            }
            Form::Many(bits) => bits.insert(slot),
        }
    }

    /// Takes out the highest slot.
    pub fn pop(&mut self) -> Option<Slot> {
        match &mut self.0 {
            Form::Few(slots) => slots.pop().map(Slot),
            Form::Many(bits) => bits.pop().map(Slot),
        }
    }

    /// Whether it has a slot.
    pub fn contains(&self, slot: Slot) -> bool {
        match &self.0 {
            Form::Few(slots) => slots.binary_search(&slot.0).is_ok(),
            Form::Many(bits) => bits.contains(slot.0),
        }
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few(slots) => slots.len(),
            Form::Many(bits) => bits.count,
        }
    }

    /// Whether it has no slot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slots, in order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        self.from(Slot(0))
    }

    /// The slots from one on, in order.
    pub fn from(&self, first: Slot) -> impl Iterator<Item = Slot> {
        let mut next = Some(first);
        std::iter::from_fn(move || {
            let found = self.at_or_after(next?)?;
            next = Some(Slot(found.0 + 1));
            Some(found)
        })
    }

    /// The first slot at or after one.
    pub fn at_or_after(&self, slot: Slot) -> Option<Slot> {
        match &self.0 {
            Form::Few(slots) => {
                let at = slots.partition_point(|other| *other < slot.0);
                slots.get(at).copied().map(Slot)
            }
            Form::Many(bits) => bits.next(slot.0.into(), true).map(|slot| Slot(slot as u16)),
        }
    }

    /// Keeps the slots that are wanted.
    pub fn retain(&mut self, mut keep: impl FnMut(Slot) -> bool) {
        match &mut self.0 {
            Form::Few(slots) => slots.retain(|slot| keep(Slot(*slot))),
            Form::Many(bits) => {
                for (at, word) in bits.words.iter_mut().enumerate() {
                    let mut left = *word;
                    while left != 0 {
                        let bit = left.trailing_zeros() as usize;
                        left &= left - 1;
                        if !keep(Slot((at * WORD_BITS + bit) as u16)) {
                            *word &= !(1 << bit);
                            bits.count -= 1;
                        }
                    }
                }
            }
        }
    }

    /// The runs of neighbouring slots, in order.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = usize::from(self.at_or_after(Slot(next as u16))?.0);
            next = self.end_of_run(start);
            Some(start..next)
        })
    }

    fn end_of_run(&self, start: usize) -> usize {
        match &self.0 {
            Form::Few(slots) => {
                let is_next = |slot: &usize| slots.binary_search(&(*slot as u16)).is_ok();
                (start + 1..).take_while(is_next).last().unwrap_or(start) + 1
            }
            Form::Many(bits) => bits.next(start, false).unwrap_or(BLOCK_SLOTS),
        }
    }

    /// Bytes that it has beside itself.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::Few(slots) if slots.spilled() => slots.capacity() * size_of::<u16>(),
            Form::Few(_) => 0,
            Form::Many(_) => size_of::<Bits>(),
        }
    }

    /// The most bytes that [`Self::encode`] appends for so many slots.
    pub fn encoded_bytes_max(slots: usize) -> usize {
        // A run of one slot takes four at most.
        (3 + 4 * slots).min(1 + BITS_BYTES)
    }

    /// Appends what [`Self::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        put_varint(out, self.runs().count() as u64);
        let mut end = 0;
        for run in self.runs() {
            put_varint(out, (run.start - end) as u64);
            put_varint(out, run.len() as u64 - 1);
            end = run.end;
            if out.len() - start > BITS_BYTES {
                break;
            }
        }
        if let Form::Many(bits) = &self.0
            && out.len() - start > BITS_BYTES
        {
            out.truncate(start);
            put_varint(out, 0);
            bits.words
                .iter()
                .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        }
    }

    /// Reads what [`Self::encode`] wrote: at least one slot.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let damage = |found: String| DecodeError {
            offset,
            expected: "slots of one block",
            found,
        };
        let runs = decoder.varint()?;
        let mut bits = Bits::of(&[]);
        if runs == 0 {
            for word in &mut bits.words {
                *word = decoder.u64()?;
            }
            bits.count = bits
                .words
                .iter()
                .map(|word| word.count_ones() as usize)
                .sum();
        }
        let mut end = 0;
        for _ in 0..runs {
            let start = decoder.varint()?.checked_add(end);
            let last = decoder.varint()?;
            let run = start.and_then(|start| Some((start, start.checked_add(last)?)));
            let run = run.filter(|(_, last)| *last < BLOCK_SLOTS as u64);
            let (start, last) = run.ok_or_else(|| damage("others".into()))?;
            end = last + 1;
            for slot in start..end {
                bits.insert(slot as u16);
            }
        }
        match bits.count {
            0 => Err(damage("none".into())),
            1..=FEW_MAX => {
                let many = Self(Form::Many(Box::new(bits)));
                Ok(Self(Form::Few(many.iter().map(|slot| slot.0).collect())))
            }
            _ => Ok(Self(Form::Many(Box::new(bits)))),
        }
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<T: IntoIterator<Item = Slot>>(slots: T) -> Self {
        let mut set = Self::default();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

impl Bits {
    fn of(slots: &[u16]) -> Self {
        let mut bits = Self {
            words: [0; WORDS],
            count: 0,
        };
        for slot in slots {
            bits.insert(*slot);
        }
        bits
    }

    fn insert(&mut self, slot: u16) -> bool {
        let (word, mask) = (&mut self.words[usize::from(slot) / WORD_BITS], mask(slot));
        let is_new = *word & mask == 0;
        *word |= mask;
        self.count += usize::from(is_new);
        is_new
    }

    fn contains(&self, slot: u16) -> bool {
        self.words[usize::from(slot) / WORD_BITS] & mask(slot) != 0
    }

    fn pop(&mut self) -> Option<u16> {
        let at = self.words.iter().rposition(|word| *word != 0)?;
        let word = &mut self.words[at];
        let bit = WORD_BITS - 1 - word.leading_zeros() as usize;
        *word &= !(1 << bit);
        self.count -= 1;
        Some((at * WORD_BITS + bit) as u16)
    }

    /// The first slot from `at` on that is in the set, or is not.
    fn next(&self, at: usize, is_in: bool) -> Option<usize> {
        let mut word = at / WORD_BITS;
        let mut seen = u64::MAX << (at % WORD_BITS);
        while word < WORDS {
            let bits = if is_in {
                self.words[word]
            } else {
                !self.words[word]
            } & seen;
            if bits != 0 {
                return Some(word * WORD_BITS + bits.trailing_zeros() as usize);
            }
            seen = u64::MAX;
            word += 1;
        }
        None
    }
}

fn mask(slot: u16) -> u64 {
    1 << (usize::from(slot) % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn slots() -> impl Strategy<Value = Vec<u16>> {
        let any = 0..BLOCK_SLOTS as u16;
        let near =
            (0..BLOCK_SLOTS as u16 - 300, 1..300_u16).prop_map(|(at, n)| (at..at + n).collect());
        prop_oneof![
            prop::collection::vec(any.clone(), 1..100),
            prop::collection::vec(any, 1..5000),
            near,
        ]
    }

    proptest! {
        #[test]
        fn a_set_is_like_a_tree_of_numbers(slots in slots(), asked in 0..BLOCK_SLOTS as u16, keep in 1..5_u16) {
            let (mut set, mut model) = (SlotSet::default(), BTreeSet::new());
            for slot in slots {
                prop_assert_eq!(set.insert(Slot(slot)), model.insert(slot));
            }
            let all = |set: &SlotSet| set.iter().map(|slot| slot.0).collect::<Vec<_>>();
            prop_assert_eq!(all(&set), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!((set.len(), set.is_empty()), (model.len(), false));
            prop_assert_eq!(set.contains(Slot(asked)), model.contains(&asked));
            let later: Vec<_> = set.from(Slot(asked)).map(|slot| slot.0).collect();
            prop_assert_eq!(later, model.range(asked..).copied().collect::<Vec<_>>());
            let of_runs: Vec<_> = set.runs().flatten().map(|slot| slot as u16).collect();
            prop_assert_eq!(of_runs, all(&set));

            let mut bytes = Vec::new();
            set.encode(&mut bytes);
            prop_assert!(bytes.len() <= SlotSet::encoded_bytes_max(set.len()));
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(&SlotSet::decode(&mut decoder).unwrap(), &all(&set).into_iter().map(Slot).collect());
            prop_assert!(decoder.finish().is_ok());

            set.retain(|slot| slot.0 % keep == 0);
            model.retain(|slot| slot % keep == 0);
            prop_assert_eq!(all(&set), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.pop().map(|slot| slot.0), model.pop_last());
            prop_assert_eq!(all(&set), model.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn bytes_that_are_no_set_are_an_error_and_nothing_worse(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(set) = SlotSet::decode(&mut Decoder::new(&bytes)) {
                prop_assert!(!set.is_empty());
            }
        }
    }

    #[test]
    fn a_whole_block_takes_a_few_bytes() {
        let all: SlotSet = (0..BLOCK_SLOTS as u16).map(Slot).collect();
        let mut bytes = Vec::new();
        all.encode(&mut bytes);
        assert_eq!(bytes.len(), 4);
        assert_eq!(SlotSet::decode(&mut Decoder::new(&bytes)).unwrap(), all);
        let every_second: SlotSet = (0..BLOCK_SLOTS as u16).step_by(2).map(Slot).collect();
        bytes.clear();
        every_second.encode(&mut bytes);
        assert_eq!(bytes.len(), 1 + BITS_BYTES);
    }
}
