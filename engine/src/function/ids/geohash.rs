//! Geohashes: a text for a cell of the world; a longer one is for a smaller cell within it.
//!
//! ```text
//!   character   b0 b1 b2 b3 b4 | b5 ..        each halves the cell:
//!   halves      lon lat lon lat lon | lat ..  1 for the eastern, or the northern half
//! ```
//!
//! A cell is known by its column and its row, counted from 180 degrees west and from the South Pole. All bounds are
//! multiples of a power of two of 45 degrees, so halving is exact. Our own: the crate `geohash` brings the types of `geo`
//! along, and fails where a neighbour lies beyond a pole.

use super::unreadable;
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::record::{self, RECORD};
use crate::function::{GenericCall, Overload, Pattern};
use remora_storage::value::ElementType;
use remora_storage::{DataType, Value, ValueRef};

const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Bits of a character.
const DIGIT_BITS: usize = 5;
/// Characters of the longest text: its cells are some centimetres wide.
const LENGTH_MAX: usize = 12;

const TEXT: Pattern = Pattern::Is(DataType::Text);
const NAME: ElementType = match ElementType::new(DataType::Text) {
    Some(element) => element,
    None => panic!("an array may be of texts"),
};

pub(super) static FUNCTIONS: &[Overload] = &[
    function!("geohash_encode"(Double, Double, Integer) -> Text,
        "The geohash of a latitude and a longitude, with so many characters.", encode),
    function!(strict generic "geohash_decode"(TEXT) -> Pattern::Is(RECORD),
        "The centre of the cell of a geohash, and how far it may be from a point in it.", decode)
    .fields(&[
        ("latitude", DataType::Double),
        ("longitude", DataType::Double),
        ("latitude_error", DataType::Double),
        ("longitude_error", DataType::Double),
    ]),
    function!(strict generic "geohash_neighbours"(TEXT) -> Pattern::Is(NAME.array()),
        "The eight cells around one, clockwise from the north; NULL beyond the poles.", neighbours),
];

/// A cell of the world.
#[derive(Clone, Copy)]
struct Cell {
    /// Characters.
    length: usize,
    /// Counted from 180 degrees west.
    column: u64,
    /// Counted from the South Pole.
    row: u64,
}

impl Cell {
    /// How often the world is halved, from east to west and from north to south.
    fn halvings(self) -> (usize, usize) {
        let bits = self.length * DIGIT_BITS;
        (bits.div_ceil(2), bits / 2)
    }

    /// The cell in which a point lies.
    fn of(latitude: f64, longitude: f64, length: usize) -> Self {
        let mut cell = Self {
            length,
            column: 0,
            row: 0,
        };
        let (columns, rows) = cell.halvings();
        cell.column = part(longitude, 180.0, columns);
        cell.row = part(latitude, 90.0, rows);
        cell
    }

    /// The cell of a text.
    ///
    /// # Errors
    /// 22P02
    fn parse(text: &str) -> Result<Self> {
        let mut cell = Self {
            length: 0,
            column: 0,
            row: 0,
        };
        for (at, found) in text.chars().enumerate() {
            let lower = found.to_ascii_lowercase();
            let digit = DIGITS.iter().position(|digit| char::from(*digit) == lower);
            let digit = digit.ok_or_else(|| unreadable("geohash", text, at + 1, found))?;
            for bit in 0..DIGIT_BITS {
                let half = (digit >> (DIGIT_BITS - 1 - bit) & 1) as u64;
                match (at * DIGIT_BITS + bit) % 2 {
                    0 => cell.column = cell.column << 1 | half,
                    _ => cell.row = cell.row << 1 | half,
                }
            }
            cell.length += 1;
            if cell.length > LENGTH_MAX {
                break;
            }
        }
        if !(1..=LENGTH_MAX).contains(&cell.length) {
            return Err(sql_error!(
                INVALID_TEXT_REPRESENTATION,
                "invalid input for geohash: \"{text}\""
            )
            .with_detail(format!("A geohash has 1 to {LENGTH_MAX} characters.")));
        }
        Ok(cell)
    }

    fn text(self) -> String {
        let (mut columns, mut rows) = self.halvings();
        let mut digit = |at: usize| {
            let mut digit = 0;
            for bit in 0..DIGIT_BITS {
                let half = match (at * DIGIT_BITS + bit) % 2 {
                    0 => {
                        columns -= 1;
                        self.column >> columns & 1
                    }
                    _ => {
                        rows -= 1;
                        self.row >> rows & 1
                    }
                };
                digit = digit << 1 | half as usize;
            }
            char::from(DIGITS[digit])
        };
        (0..self.length).map(&mut digit).collect()
    }

    /// Returns the cell so many columns to the east and so many rows to the north; `None` beyond a pole.
    fn beside(self, east: i64, north: i64) -> Option<Self> {
        let (columns, rows) = self.halvings();
        let row = self.row.checked_add_signed(north)?;
        let column = self.column.wrapping_add_signed(east) & ((1 << columns) - 1);
        (row < 1 << rows).then_some(Self {
            column,
            row,
            ..self
        })
    }
}

/// Returns the number of the part in which `number` lies, when the range from `-bound` to `bound` is halved so often.
fn part(number: f64, bound: f64, halvings: usize) -> u64 {
    let (mut low, mut high, mut found) = (-bound, bound, 0);
    for _ in 0..halvings {
        let middle = f64::midpoint(low, high);
        found <<= 1;
        match number >= middle {
            true => (low, found) = (middle, found | 1),
            false => high = middle,
        }
    }
    found
}

/// Returns the centre of a part of [`part`], and half of its size.
fn centre(part: u64, bound: f64, halvings: usize) -> (f64, f64) {
    let half = bound / (1_u64 << halvings) as f64;
    ((2 * part + 1) as f64 * half - bound, half)
}

fn check(what: &str, number: f64, bound: f64) -> Result<()> {
    match (-bound..=bound).contains(&number) {
        true => Ok(()),
        false => Err(sql_error!(
            NUMERIC_VALUE_OUT_OF_RANGE,
            "{what} {number} is out of range -{bound} .. {bound}"
        )),
    }
}

fn encode(latitude: f64, longitude: f64, length: i32) -> Result<String> {
    check("latitude", latitude, 90.0)?;
    check("longitude", longitude, 180.0)?;
    match usize::try_from(length) {
        Ok(length @ 1..=LENGTH_MAX) => Ok(Cell::of(latitude, longitude, length).text()),
        _ => Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "length {length} of a geohash is out of range 1 .. {LENGTH_MAX}"
        )),
    }
}

fn cell(call: &GenericCall<'_>) -> Result<Cell> {
    match call.values[0] {
        ValueRef::Text(text) => Cell::parse(text),
        _ => Cell::parse(""),
    }
}

fn decode(call: &GenericCall<'_>) -> Result<Value> {
    let cell = cell(call)?;
    let (columns, rows) = cell.halvings();
    let (latitude, latitude_error) = centre(cell.row, 90.0, rows);
    let (longitude, longitude_error) = centre(cell.column, 180.0, columns);
    let fields = [latitude, longitude, latitude_error, longitude_error];
    let fields = fields.map(|field| (DataType::Double, ValueRef::Double(field)));
    let packed = record::packed(call.returns);
    Ok(Value::Packed(packed, record::encode(fields)?))
}

fn neighbours(call: &GenericCall<'_>) -> Result<Value> {
    const CLOCKWISE: [(i64, i64); 8] = [
        (0, 1),
        (1, 1),
        (1, 0),
        (1, -1),
        (0, -1),
        (-1, -1),
        (-1, 0),
        (-1, 1),
    ];
    let cell = cell(call)?;
    let around = CLOCKWISE.map(|(east, north)| cell.beside(east, north).map(Cell::text));
    let around = around.iter().map(|found| match found {
        Some(text) => ValueRef::Text(text),
        None => ValueRef::Null,
    });
    Ok(Value::array(NAME, around))
}
