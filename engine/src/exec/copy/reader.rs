//! Cuts bytes into CSV records and fields.
//!
//! Quotes may open and close anywhere in a field, as in PostgreSQL: `a"b,c"d` is one field, `ab,cd`.
//! Within quotes the escape character makes a quote or itself a plain character; if it is the quote
//! character, that is the usual doubling. A record ends at LF, CR LF or CR outside quotes. A line
//! that is `\.` and nothing else ends the data.

use super::super::ExecContext;
use super::super::memory::Held;
use super::io_error;
use crate::error::Result;
use crate::plan::statement::CsvFormat;
use remora_storage::limits::VALUE_BYTES_MAX;
use std::io::{BufRead, BufReader, Read};

/// Reads records.
pub(super) struct Reader<'a> {
    input: BufReader<&'a mut dyn Read>,
    record: Record,
    /// Line in which the record ends, counted from 1.
    line: u64,
    /// Whether the last record ended with a CR: an LF that follows belongs to it.
    after_cr: bool,
    context: &'a ExecContext,
    /// For the record.
    held: Held,
}

/// A record in the making.
struct Record {
    delimiter: u8,
    quote: u8,
    escape: u8,
    state: State,
    /// The bytes of the fields, one after the other, without quotes.
    data: Vec<u8>,
    fields: Vec<FieldEnd>,
    /// Whether the field being read has had a quote.
    quoted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Quoted,
    /// After an escape character in quotes; it may turn out to have been the closing quote.
    Escape,
}

/// Where a field ends in the record's bytes.
#[derive(Clone, Copy)]
struct FieldEnd {
    end: usize,
    quoted: bool,
}

/// A field of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field<'a> {
    /// Its bytes, without quotes.
    pub(super) bytes: &'a [u8],
    /// Whether it had quotes.
    pub(super) quoted: bool,
}

impl<'a> Reader<'a> {
    /// Reads from `input`.
    pub(super) fn new(
        input: &'a mut dyn Read,
        format: &CsvFormat,
        context: &'a ExecContext,
    ) -> Self {
        Self {
            context,
            held: Held::default(),
            input: BufReader::with_capacity(64 << 10, input),
            record: Record {
                delimiter: format.delimiter,
                quote: format.quote,
                escape: format.escape,
                state: State::Plain,
                data: Vec::new(),
                fields: Vec::new(),
                quoted: false,
            },
            line: 0,
            after_cr: false,
        }
    }

    /// Goes to the next record; `false` at the end.
    ///
    /// # Errors
    /// 22P04 where the data ends in quotes, 54000 where a record is too long, 53200, 58030.
    pub(super) fn advance(&mut self) -> Result<bool> {
        self.record.clear();
        self.line += 1;
        let mut empty = true;
        loop {
            // Once a record mostly, and once a buffer of a long one.
            self.context.check()?;
            let buffer = self.input.fill_buf().map_err(|e| io_error("read", &e))?;
            if buffer.is_empty() {
                return Ok(!empty && self.record.end()? && !self.record.is_end_mark());
            }
            let mut taken = 0;
            let mut ended = false;
            for &byte in buffer {
                taken += 1;
                if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                    continue;
                }
                empty = false;
                self.line += u64::from(byte == b'\n' && self.record.state == State::Quoted);
                ended = self.record.take(byte);
                if ended {
                    self.after_cr = byte == b'\r';
                    break;
                }
            }
            self.input.consume(taken);
            self.held.reach(self.record.bytes(), self.context)?;
            if self.record.data.len() > VALUE_BYTES_MAX {
                return Err(sql_error!(
                    PROGRAM_LIMIT_EXCEEDED,
                    "a CSV record is above the limit of {VALUE_BYTES_MAX} bytes"
                ));
            }
            if ended {
                return Ok(!self.record.is_end_mark());
            }
        }
    }

    /// The line in which the current record ends.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The current record's fields.
    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        let mut start = 0;
        self.record.fields.iter().map(move |field| {
            let bytes = &self.record.data[start..field.end];
            start = field.end;
            Field {
                bytes,
                quoted: field.quoted,
            }
        })
    }
}

impl Record {
    fn clear(&mut self) {
        self.data.clear();
        self.fields.clear();
        self.quoted = false;
        self.state = State::Plain;
    }

    /// Bytes of memory that the record takes, and will when it grows by a buffer.
    fn bytes(&self) -> usize {
        2 * (self.data.capacity() + self.fields.capacity() * size_of::<FieldEnd>())
    }

    /// Takes a byte; says whether it ended the record.
    fn take(&mut self, byte: u8) -> bool {
        match self.state {
            State::Plain => return self.take_plain(byte),
            State::Quoted if byte == self.escape => self.state = State::Escape,
            State::Quoted if byte == self.quote => self.state = State::Plain,
            State::Quoted => self.data.push(byte),
            State::Escape if byte == self.quote || byte == self.escape => {
                self.data.push(byte);
                self.state = State::Quoted;
            }
            State::Escape if self.escape == self.quote => {
                self.state = State::Plain;
                return self.take_plain(byte);
            }
            State::Escape => {
                self.data.extend([self.escape, byte]);
                self.state = State::Quoted;
            }
        }
        false
    }

    fn take_plain(&mut self, byte: u8) -> bool {
        if byte == self.quote {
            self.quoted = true;
            self.state = State::Quoted;
        } else if byte == self.delimiter {
            self.end_field();
        } else if byte == b'\n' || byte == b'\r' {
            self.end_field();
            return true;
        } else {
            self.data.push(byte);
        }
        false
    }

    fn end_field(&mut self) {
        self.fields.push(FieldEnd {
            end: self.data.len(),
            quoted: std::mem::take(&mut self.quoted),
        });
    }

    /// Ends the last record, which no line end closed.
    fn end(&mut self) -> Result<bool> {
        let closing = self.state == State::Escape && self.escape == self.quote;
        if self.state != State::Plain && !closing {
            return Err(sql_error!(
                BAD_COPY_FILE_FORMAT,
                "unterminated CSV quoted field"
            ));
        }
        self.end_field();
        Ok(true)
    }

    fn is_end_mark(&self) -> bool {
        self.data == br"\." && matches!(self.fields.as_slice(), [field] if !field.quoted)
    }
}
