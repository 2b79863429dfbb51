//! `.import`: a CSV file with a header into a table, which is made if it is missing.
//!
//! 1. Where the table is missing, the whole file is read once to find each column's type: the
//!    narrowest that holds every value (boolean, integer, bigint, numeric, double precision, date,
//!    timestamp, else text). An empty field is NULL and says nothing about the type. Digits that
//!    begin with a zero (post codes, telephone numbers) are text.
//! 2. CREATE TABLE and COPY run in one transaction: after an error there is neither table nor row.
//!    Errors of COPY name the line.
//!
//! In an existing table the header names the columns; those that it does not name get defaults.

use remora::internal::text;
use remora::{Connection, DataType, Error};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Imported {
    /// Rows loaded.
    pub(crate) rows: u64,
    /// Whether the table was made.
    pub(crate) created: bool,
}

/// Loads the file into the table.
pub(crate) fn import(connection: &Connection, path: &Path, table: &str) -> Result<Imported, Error> {
    let missing = !connection.tables()?.iter().any(|name| name == table);
    let (names, create) = if missing {
        let columns = infer(path)?;
        let create = create_table(table, &columns);
        (
            columns.into_iter().map(|column| column.name).collect(),
            Some(create),
        )
    } else {
        (known_columns(connection, path, table)?, None)
    };
    // An open transaction is the user's to end.
    let own = !connection.is_in_transaction();
    if own {
        connection.execute("BEGIN", [])?;
    }
    let result = load(connection, path, table, &names, create.as_deref());
    if own {
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        connection.execute(end, [])?;
    }
    result.map(|rows| Imported {
        rows,
        created: missing,
    })
}

fn load(
    connection: &Connection,
    path: &Path,
    table: &str,
    names: &[String],
    create: Option<&str>,
) -> Result<u64, Error> {
    if let Some(create) = create {
        connection.execute(create, [])?;
    }
    let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let copy = format!(
        "COPY {} ({}) FROM STDIN WITH (FORMAT csv, HEADER true)",
        quoted(table),
        columns.join(", ")
    );
    let mut file = BufReader::new(open(path)?);
    connection.copy_from(&copy, &mut file)
}

/// The columns of an existing table that the header names.
fn known_columns(connection: &Connection, path: &Path, table: &str) -> Result<Vec<String>, Error> {
    let columns = connection.columns(table)?;
    let mut reader = reader(path)?;
    let header = reader.headers().map_err(|error| csv_error(path, &error))?;
    header
        .iter()
        .map(|name| {
            let folded = fold(name);
            let known = columns
                .iter()
                .find(|c| c.name == name)
                .or_else(|| columns.iter().find(|column| column.name == folded));
            known.map(|column| column.name.clone()).ok_or_else(|| {
                let have: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                Error::new(
                    "42703",
                    format!(
                        "{}, line 1: table \"{table}\" has no column \"{name}\"",
                        path.display()
                    ),
                )
                .with_hint(format!("Its columns are {}.", have.join(", ")))
            })
        })
        .collect()
}

/// A column as found in the file.
#[derive(Debug)]
struct Inferred {
    name: String,
    guess: Guess,
}

/// The narrowest type that holds all values seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Guess {
    Nothing,
    Boolean,
    Integer,
    BigInt,
    Numeric,
    Double,
    Date,
    Timestamp,
    Text,
}

impl Guess {
    fn of(field: &str) -> Self {
        if field.is_empty() {
            return Self::Nothing;
        }
        let holds = |data_type| text::parse(field, data_type).is_ok();
        let bytes = field.as_bytes();
        if ["true", "false", "t", "f"]
            .iter()
            .any(|word| field.eq_ignore_ascii_case(word))
        {
            return Self::Boolean;
        }
        let digits = field.strip_prefix(['-', '+']).unwrap_or(field);
        if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !padded(digits) {
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            if plain && holds(DataType::Integer) {
                return Self::Integer;
            }
            if plain && holds(DataType::BigInt) {
                return Self::BigInt;
            }
            if digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && holds(DataType::Numeric(None))
            {
                return Self::Numeric;
            }
            if digits
                .bytes()
                .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
                && holds(DataType::Double)
            {
                return Self::Double;
            }
        }
        // The parsers take much that only looks like a date; a file means what is ISO.
        let iso = bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-';
        match () {
            () if iso && bytes.len() == 10 && holds(DataType::Date) => Self::Date,
            () if iso && bytes.len() > 10 && holds(DataType::Timestamp) => Self::Timestamp,
            () => Self::Text,
        }
    }

    /// The narrowest that holds what both hold.
    fn and(self, other: Self) -> Self {
        let (low, high) = if self <= other {
            (self, other)
        } else {
            (other, self)
        };
        let number = |guess| (Self::Integer..=Self::Double).contains(&guess);
        match (low, high) {
            (Self::Nothing, high) => high,
            (low, high) if low == high => low,
            (low, high) if number(low) && number(high) => high,
            (Self::Date, Self::Timestamp) => Self::Timestamp,
            _ => Self::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Integer,
            Self::BigInt => DataType::BigInt,
            Self::Numeric => DataType::Numeric(None),
            Self::Double => DataType::Double,
            Self::Date => DataType::Date,
            Self::Timestamp => DataType::Timestamp,
            Self::Nothing | Self::Text => DataType::Text,
        }
    }
}

/// Whether digits begin with a zero that a number would not have.
fn padded(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")
}

/// Reads the file through and finds names and types of its columns.
fn infer(path: &Path) -> Result<Vec<Inferred>, Error> {
    let mut reader = reader(path)?;
    let header = reader
        .headers()
        .map_err(|error| csv_error(path, &error))?
        .clone();
    if header.is_empty() || (header.len() == 1 && header[0].is_empty()) {
        let text = format!("{}, line 1: the file has no header", path.display());
        return Err(Error::new("22P04", text));
    }
    let mut columns: Vec<Inferred> = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = free_name(&columns, name, index);
        columns.push(Inferred {
            name,
            guess: Guess::Nothing,
        });
    }
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| csv_error(path, &error))?
    {
        for (column, field) in columns.iter_mut().zip(&record) {
            if column.guess != Guess::Text {
                column.guess = column.guess.and(Guess::of(field));
            }
        }
    }
    Ok(columns)
}

/// A name for a column that no earlier one has.
fn free_name(columns: &[Inferred], name: &str, index: usize) -> String {
    let base = match fold(name) {
        name if name.is_empty() => format!("column{}", index + 1),
        name => name,
    };
    let taken = |name: &str| columns.iter().any(|column| column.name == name);
    let numbered = (2_u32..).map(|number| format!("{base}_{number}"));
    std::iter::once(base.clone())
        .chain(numbered)
        .find(|candidate| !taken(candidate))
        .unwrap_or(base)
}

/// Folds what SQL would fold without quotes, so that it can be written without them.
fn fold(name: &str) -> String {
    let name = name.trim();
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain {
        name.to_lowercase()
    } else {
        name.to_owned()
    }
}

fn create_table(table: &str, columns: &[Inferred]) -> String {
    let column = |c: &Inferred| format!("{} {}", quoted(&c.name), c.guess.data_type());
    let columns: Vec<String> = columns.iter().map(column).collect();
    format!("CREATE TABLE {} ({})", quoted(table), columns.join(", "))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn reader(path: &Path) -> Result<csv::Reader<File>, Error> {
    Ok(csv::Reader::from_reader(open(path)?))
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path)
        .and_then(|file| match file.metadata()?.is_dir() {
            true => Err(std::io::ErrorKind::IsADirectory.into()),
            false => Ok(file),
        })
        .map_err(|error| {
            Error::new(
                "58P01",
                format!("cannot read \"{}\": {error}", path.display()),
            )
        })
}

/// An error of the CSV itself, with its line.
fn csv_error(path: &Path, error: &csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{len} fields where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => {
            let text = format!("{}, line {line}: not UTF-8", path.display());
            return Error::new("22021", text);
        }
        _ => error.to_string(),
    };
    Error::new("22P04", format!("{}, line {line}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(fields: &[&str]) -> Guess {
        fields
            .iter()
            .fold(Guess::Nothing, |guess, field| guess.and(Guess::of(field)))
    }

    #[test]
    fn the_narrowest_type_that_holds_all_wins() {
        for (fields, wanted) in [
            (&["1", "-2", ""][..], Guess::Integer),
            (&["1", "3000000000"], Guess::BigInt),
            (&["1", "3000000000", "0.50"], Guess::Numeric),
            (&["99999999999999999999"], Guess::Numeric),
            (&["1", "1e300"], Guess::Double),
            (&["true", "F"], Guess::Boolean),
            (&["true", "1"], Guess::Text),
            (&["2024-02-29"], Guess::Date),
            (&["2024-02-29", "2024-02-29 12:00:00"], Guess::Timestamp),
            (&["2024-02-30"], Guess::Text),
            (&["0171", "5"], Guess::Text),
            (&["0", "0.5"], Guess::Numeric),
            (&["1-2"], Guess::Text),
            (&["é-------é-"], Guess::Text),
            (&["", ""], Guess::Nothing),
        ] {
            assert_eq!(guess(fields), wanted, "{fields:?}");
        }
    }

    #[test]
    fn names_are_folded_filled_in_and_made_unique() {
        let mut columns = Vec::new();
        for (index, name) in ["Id", "id", "", "Two Words"].into_iter().enumerate() {
            let name = free_name(&columns, name, index);
            columns.push(Inferred {
                name,
                guess: Guess::Nothing,
            });
        }
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "id_2", "column3", "Two Words"]);
    }
}
