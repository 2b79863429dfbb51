//! COPY: rows from and to CSV, as PostgreSQL reads and writes it.
//!
//! [`reader`] cuts bytes into records and fields, [`mod@copy_from`] makes rows of them, [`mod@copy_to`] writes rows.
//! The CSV is our own, and not a crate's, because of NULL: in PostgreSQL's dialect an unquoted
//! field that equals the NULL string is NULL and a quoted one never is, and an empty line is a
//! record of one empty field. The usual readers hide quotes from their caller and drop such lines,
//! so a table's NULLs and empty strings would not survive a round trip.

mod copy_from;
mod copy_to;
mod reader;

pub(crate) use copy_from::copy_from;
pub(crate) use copy_to::copy_to;

use crate::error::{Error, state};

/// An error of the medium.
fn io_error(what: &str, error: &std::io::Error) -> Error {
    let sqlstate = match error.kind() {
        std::io::ErrorKind::StorageFull => state::DISK_FULL,
        _ => state::IO_ERROR,
    };
    Error::new(sqlstate, format!("could not {what} COPY data: {error}"))
}

/// A COPY of the wrong kind for the entry point called: the session chooses by direction.
fn wrong_direction() -> Error {
    Error::internal("COPY in the wrong direction")
}

#[cfg(test)]
mod tests;
