//! The CSV reader by example, and against the writer.

use super::super::tests::context;
use super::copy_to::Lines;
use super::reader::Reader;
use crate::error::{Result, state};
use crate::plan::statement::CsvFormat;
use proptest::prelude::*;

fn format() -> CsvFormat {
    CsvFormat {
        header: false,
        delimiter: b',',
        quote: b'"',
        escape: b'"',
        null: String::new(),
    }
}

/// Records as text; `None` where a field is NULL.
fn read(text: &str, format: &CsvFormat) -> Result<Vec<Vec<Option<String>>>> {
    let mut input = text.as_bytes();
    let context = context();
    let mut reader = Reader::new(&mut input, format, &context);
    let mut records = Vec::new();
    while reader.advance()? {
        let fields = reader.fields().map(|field| {
            let null = !field.quoted && field.bytes == format.null.as_bytes();
            (!null).then(|| String::from_utf8(field.bytes.to_vec()).expect("UTF-8"))
        });
        records.push(fields.collect());
    }
    Ok(records)
}

fn some(fields: &[&str]) -> Vec<Option<String>> {
    fields
        .iter()
        .map(|field| Some((*field).to_owned()))
        .collect()
}

#[test]
fn quotes_tell_an_empty_string_from_null() {
    let records = read("1,\n2,\"\"\n", &format()).unwrap();
    assert_eq!(records, [vec![Some("1".into()), None], some(&["2", ""])]);
}

#[test]
fn an_empty_line_is_a_record_of_one_null() {
    assert_eq!(
        read("a\n\nb", &format()).unwrap(),
        [some(&["a"]), vec![None], some(&["b"])]
    );
    assert!(read("", &format()).unwrap().is_empty());
}

#[test]
fn quotes_open_anywhere_and_hold_delimiters_lines_and_themselves() {
    let records = read("a\"b,c\"d,\"x\"\"y\"\r\n\"two\nlines\",z\r\n", &format()).unwrap();
    assert_eq!(
        records,
        [some(&["ab,cd", "x\"y"]), some(&["two\nlines", "z"])]
    );
}

#[test]
fn an_escape_of_its_own_makes_quotes_plain() {
    let format = CsvFormat {
        escape: b'\\',
        ..format()
    };
    let records = read(r#""a\"b","c\d","e\\""#, &format).unwrap();
    assert_eq!(records, [some(&["a\"b", r"c\d", r"e\"])]);
}

#[test]
fn the_end_mark_ends_the_data_unless_it_is_quoted() {
    assert_eq!(read("a\n\\.\nb\n", &format()).unwrap(), [some(&["a"])]);
    assert_eq!(read("\"\\.\"\n", &format()).unwrap(), [some(&["\\."])]);
}

#[test]
fn data_that_ends_in_quotes_is_refused() {
    let error = read("a\n\"b\n", &format()).unwrap_err();
    assert_eq!(error.sqlstate(), state::BAD_COPY_FILE_FORMAT);
    assert_eq!(error.message(), "unterminated CSV quoted field");
}

#[test]
fn lines_are_counted_through_quotes() {
    let format = format();
    let mut input = "a\n\"b\nc\"\nd\n".as_bytes();
    let context = context();
    let mut reader = Reader::new(&mut input, &format, &context);
    let mut lines = Vec::new();
    while reader.advance().unwrap() {
        lines.push(reader.line());
    }
    assert_eq!(lines, [1, 3, 4]);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        records in proptest::collection::vec(
            proptest::collection::vec(proptest::option::of("[a,\"\\\\.\n\r N]{0,4}"), 1..4),
            0..6,
        ),
        null in prop_oneof![Just(""), Just("NULL"), Just("N")],
        escape in prop_oneof![Just(b'"'), Just(b'\\')],
    ) {
        let format = CsvFormat { null: null.to_owned(), escape, ..format() };
        let mut out = Vec::new();
        for record in &records {
            let mut lines = Lines::new(&format, record.len());
            lines.record(record.iter().map(Option::as_deref));
            lines.flush(&mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(read(&text, &format).unwrap(), records);
    }
}
