//! Room on the stack for recursion over syntax trees and plans, which the limits of nesting alone do not bound: how much a
//! level takes depends on the compiler.

/// A text this short does not nest so deeply that any stack would be too small.
const SHORT_BYTES: usize = 256;
/// Room on the stack for all that the limits allow.
const ROOM_BYTES: usize = 48 << 20;
/// A stack that is made where there is less.
const STACK_BYTES: usize = 64 << 20;
/// Room that is left before a level of a recursion goes on, on another stack.
const LEFT_BYTES: usize = 1 << 20;

/// Runs a recursion that goes as deep as a text of so many bytes nests.
pub(crate) fn with_room<T>(text_bytes: usize, f: impl FnOnce() -> T) -> T {
    match text_bytes > SHORT_BYTES {
        true => stacker::maybe_grow(ROOM_BYTES, STACK_BYTES, f),
        false => f(),
    }
}

/// Runs a level of a recursion that did not begin with a text, as over the nodes of a plan.
pub(crate) fn with_room_left<T>(f: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LEFT_BYTES, STACK_BYTES, f)
}

/// Like [`with_room_left`], but looks for room only at every sixteenth level.
pub(crate) fn with_room_at<T>(level: usize, f: impl FnOnce() -> T) -> T {
    match level % 16 == 15 {
        true => with_room_left(f),
        false => f(),
    }
}
