//! The texts of a session's last statements, for those who ask what it runs.
//!
//! A running statement is known by its number, which is one store; its text is looked up here by
//! whoever asks. A text comes here when its statement runs and is not here: the place that a number
//! has may have been taken by another since.

use parking_lot::Mutex;
use std::sync::Arc;

/// Texts kept a session.
pub(super) const PLACES: usize = 16;
/// Bytes that are kept of a text, as in PostgreSQL.
pub(crate) const TEXT_BYTES_MAX: usize = 1024;

/// A text, with the number of its statement.
type Numbered = (u32, Arc<str>);

/// The texts.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<[Option<Numbered>; PLACES]>);

pub(super) fn place(number: u32) -> usize {
    number as usize % PLACES
}

impl Texts {
    pub(super) fn put(&self, number: u32, text: &Arc<str>) {
        self.0.lock()[place(number)] = Some((number, Arc::clone(text)));
    }

    pub(super) fn get(&self, number: u32) -> Option<Arc<str>> {
        let texts = self.0.lock();
        let (known, text) = texts[place(number)].as_ref()?;
        (*known == number).then(|| Arc::clone(text))
    }
}
