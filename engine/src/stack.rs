//! Stack for recursion: over syntax trees, plans and pipelines, which nest deeper than the stack of a thread allows.
//!
//! Before a level of recursion starts, the rest of the stack is compared with what the level may take; where it is too
//! short, the level runs on another stack.

/// A text this short does not nest so deeply that any stack would be too small.
const SHORT_BYTES: usize = 256;
/// Room on the stack for all that the limits of the parser allow.
const ROOM_BYTES: usize = 48 << 20;
/// A stack that is made where there is less.
const STACK_BYTES: usize = 64 << 20;
/// Bytes of stack that a level of recursion needs to go on where it is.
const LEFT_BYTES: usize = 1 << 20;

/// Runs a recursion that goes as deep as a text of so many bytes nests.
pub(crate) fn with_room<T>(text_bytes: usize, f: impl FnOnce() -> T) -> T {
    match text_bytes > SHORT_BYTES {
        true => stacker::maybe_grow(ROOM_BYTES, STACK_BYTES, f),
        false => f(),
    }
}

/// Runs a level of a recursion that did not begin with a text, as a plan's nodes within nodes.
pub(crate) fn with_room_left<T>(f: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LEFT_BYTES, STACK_BYTES, f)
}

/// Like [`with_room_left`], but looks for room at every sixteenth level only.
pub(crate) fn with_room_at<T>(level: usize, f: impl FnOnce() -> T) -> T {
    match level % 16 == 15 {
        true => with_room_left(f),
        false => f(),
    }
}
