//! Vectors: rows as a scan finds them, up to 1,024 at a time, whose columns are read when asked for.
//!
//! ```text
//!   a piece of a hot block      \              chosen   1 0 0 1 1 0 ..     the bounds' answer
//!   a vector of a frozen block   > Vector ---> column   count, sum, least and greatest, each value
//!   rows one by one             /
//! ```
//!
//! Who folds rows into a few numbers needs no arrays of them. A [`Visitor`] tests the bounds of a scan
//! where the rows are, which gives a bit a row, and shows them to its function. That asks the
//! [`VectorColumn`]s it wants. Numbers are read into an array on the stack, all rows of the vector, and
//! folded under the mask in loops without a branch: a value more costs less than finding out that it
//! is not wanted. What is no number is read value by value, of the chosen rows only.
//!
//! Rows of all kinds answer alike, but for the order in which floats are added.

use super::column::Bits;
use super::frozen::{self, Frozen, Mask, extremes_i64, sum_f64, sum_i64};
use super::images::{Images, Reader, Run, Spot, Stretch, Take, Versions};
use super::row::RowRef;
use super::test::Test;
use crate::ids::{BlockNo, ColumnId, RowId};
use crate::value::{ColumnBounds, DataType, ValueRef};

const ROWS: usize = Frozen::VECTOR_ROWS;

/// Bounds, made ready for rows of all kinds.
#[derive(Debug)]
pub struct Choice {
    bounds: Vec<ColumnBounds>,
    tests: Vec<Test>,
}

impl Choice {
    /// Of rows that are within all of these.
    pub fn new(bounds: &[ColumnBounds]) -> Self {
        Self {
            bounds: bounds.to_vec(),
            tests: bounds.iter().map(Test::new).collect(),
        }
    }
}

/// Shows rows that pass to a function, a vector at a time and none without any.
#[derive(Debug)]
pub struct Visitor<'c, F> {
    choice: &'c Choice,
    visit: F,
}

impl<'c, F: FnMut(&Vector<'_>)> Visitor<'c, F> {
    /// Of rows that `choice` lets pass.
    pub fn new(choice: &'c Choice, visit: F) -> Self {
        Self { choice, visit }
    }

    fn add_images<I: Images>(&mut self, images: &I, mut chosen: Mask, source: Source<'_>) {
        for test in &self.choice.tests {
            test.keep(images, &mut chosen);
        }
        self.show(chosen, source);
    }

    fn show(&mut self, chosen: Mask, source: Source<'_>) {
        let rows = chosen.count();
        if rows > 0 {
            (self.visit)(&Vector {
                source,
                chosen,
                rows,
            });
        }
    }
}

impl<F: FnMut(&Vector<'_>)> Take for Visitor<'_, F> {
    fn held(&self) -> usize {
        0
    }

    fn take_stretch(&mut self, _: BlockNo, rows: &Stretch<'_>) {
        let mut chosen = Mask::first(rows.len());
        if let Some(live) = &rows.live {
            chosen = Mask::first(0);
            live.iter().for_each(|at| chosen.insert(usize::from(*at)));
        }
        self.add_images(rows, chosen, Source::Hot(rows));
    }

    fn take_run(&mut self, _: BlockNo, run: &Run<'_>) -> bool {
        let choice = self.choice;
        run.each_vector(&choice.bounds, |vector, chosen| {
            let frozen = run.frozen;
            self.show(chosen, Source::Frozen { frozen, vector });
        })
    }

    fn take_rows(&mut self, _: &[RowId], rows: &[RowRef<'_>]) {
        for rows in rows.chunks(ROWS) {
            let mut chosen = Mask::first(rows.len());
            if let Some(images) = Versions::of(rows) {
                self.add_images(&images, chosen, Source::Versions(&images));
                continue;
            }
            for (at, row) in rows.iter().enumerate() {
                let passes = |bounds: &ColumnBounds| bounds.admits(row.get(bounds.column));
                if !self.choice.bounds.iter().all(passes) {
                    chosen.remove(at);
                }
            }
            self.show(chosen, Source::Rows(rows));
        }
    }
}

/// Rows of one kind, some of them chosen.
#[derive(Debug)]
pub struct Vector<'v> {
    source: Source<'v>,
    chosen: Mask,
    rows: usize,
}

#[derive(Clone, Copy, Debug)]
enum Source<'v> {
    Frozen { frozen: &'v Frozen, vector: usize },
    Hot(&'v Stretch<'v>),
    Versions(&'v Versions<'v>),
    Rows(&'v [RowRef<'v>]),
}

impl<'v> Vector<'v> {
    /// Rows of which nothing but their number is wanted, at most 1,024.
    pub fn of_count(rows: usize) -> Self {
        Self {
            source: Source::Rows(&[]),
            chosen: Mask::first(rows),
            rows,
        }
    }

    /// How many rows are chosen.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One of the rows' columns.
    pub fn column(&self, id: ColumnId) -> VectorColumn<'_> {
        VectorColumn { vector: self, id }
    }
}

/// A column of the chosen rows.
#[derive(Clone, Copy, Debug)]
pub struct VectorColumn<'v> {
    vector: &'v Vector<'v>,
    id: ColumnId,
}

/// A sum and of how many values it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sum<T> {
    /// The sum.
    pub sum: T,
    /// Digits of it that are decimals.
    pub scale: u8,
    /// Values that are not NULL.
    pub count: usize,
}

/// Numbers of all rows, and which of them count. Filled where it stands: it is large.
struct Numbers<T> {
    values: [T; ROWS],
    /// Those of chosen rows that are not NULL.
    mask: Mask,
    /// Rows, rounded up to what loops over a mask take.
    len: usize,
    data_type: DataType,
}

impl<T: Copy + Default> Numbers<T> {
    /// None yet, of the rows that a mask chooses.
    fn of(chosen: Mask) -> Self {
        Self {
            values: [T::default(); ROWS],
            mask: chosen,
            len: ROWS,
            data_type: DataType::BigInt,
        }
    }

    fn values(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<'v> VectorColumn<'v> {
    /// How many of the values are not NULL.
    pub fn count(&self) -> usize {
        let mut mask = self.vector.chosen;
        match self.vector.source {
            Source::Frozen { frozen, vector } => mask.keep_chosen(&frozen.present(self.id, vector)),
            Source::Hot(rows) => keep_present(rows, self.id, &mut mask),
            Source::Versions(rows) => keep_present(rows, self.id, &mut mask),
            Source::Rows(rows) => {
                for (at, row) in rows.iter().enumerate() {
                    if row.get(self.id).is_null() {
                        mask.remove(at);
                    }
                }
            }
        }
        mask.count()
    }

    /// The sum of a column of SMALLINT, INTEGER or BIGINT, or of the mantissas of one of
    /// NUMERIC(p,s). `None` where the values are of another type, or not held as integers of 64 bits.
    pub fn sum_i64(&self) -> Option<Sum<i128>> {
        let mut numbers = Numbers::of(self.vector.chosen);
        self.read_ints(&mut numbers)?;
        let scale = match numbers.data_type {
            DataType::SmallInt | DataType::Integer | DataType::BigInt => 0,
            DataType::Numeric(Some(modifier)) => modifier.scale,
            _ => return None,
        };
        Some(Sum {
            sum: sum_i64(numbers.values(), &numbers.mask),
            scale,
            count: numbers.mask.count(),
        })
    }

    /// The sum of a column of DOUBLE PRECISION, -0 of no values. They are not added in order, so that
    /// the last digits may differ from those of adding them so. NaN also where there are values so
    /// large that the order may decide whether they overflow. `None` where the values are of another
    /// type.
    pub fn sum_f64(&self) -> Option<Sum<f64>> {
        let mut numbers = Numbers::of(self.vector.chosen);
        self.read_floats(&mut numbers)?;
        (numbers.data_type == DataType::Double).then(|| Sum {
            sum: sum_f64(numbers.values(), &numbers.mask),
            scale: 0,
            count: numbers.mask.count(),
        })
    }

    /// The least and the greatest value, by the order of index keys: NaN is the greatest float. `None`
    /// where there is none, or where the values are no numbers of 64 bits.
    pub fn extremes(&self) -> Option<(ValueRef<'static>, ValueRef<'static>)> {
        let mut numbers = Numbers::of(self.vector.chosen);
        if self.read_ints(&mut numbers).is_some() {
            let (least, greatest) = extremes_i64(numbers.values(), &numbers.mask);
            let value = |n| frozen::int_value(numbers.data_type, n);
            return (!numbers.mask.is_empty()).then(|| (value(least), value(greatest)));
        }
        let mut numbers = Numbers::of(self.vector.chosen);
        self.read_floats(&mut numbers)?;
        let keys: [i64; ROWS] = std::array::from_fn(|at| frozen::key(numbers.values[at]));
        let (least, greatest) = extremes_i64(&keys[..numbers.len], &numbers.mask);
        let first = |key| numbers.mask.iter().find(|at| keys[*at] == key);
        let value = |key| first(key).map(|at| float(numbers.data_type, numbers.values[at]));
        Some((value(least)?, value(greatest)?))
    }

    /// Gives each value that is not NULL, in the order of the rows, until `each` fails.
    pub fn each<E>(&self, mut each: impl FnMut(ValueRef<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut scratch = Vec::new();
        for word in 0..ROWS / 64 {
            for bit in Bits(self.vector.chosen.words()[word]) {
                let value = self.value(word * 64 + bit, &mut scratch);
                if !value.is_null() {
                    each(value)?;
                }
            }
        }
        Ok(())
    }

    fn value<'a>(&'a self, at: usize, scratch: &'a mut Vec<u8>) -> ValueRef<'a> {
        match self.vector.source {
            Source::Frozen { frozen, vector } => {
                frozen.value(self.id, (vector * ROWS + at) as u32, scratch)
            }
            Source::Hot(rows) => value(rows, self.id, at),
            Source::Versions(rows) => value(rows, self.id, at),
            Source::Rows(rows) => rows[at].get(self.id),
        }
    }

    /// The values as integers, where all of them fit.
    fn read_ints(&self, numbers: &mut Numbers<i64>) -> Option<()> {
        match self.vector.source {
            Source::Frozen { frozen, vector } => {
                numbers.data_type = frozen.data_type(self.id)?;
                let is_read = frozen.read_i64(self.id, vector, &mut numbers.values);
                is_read.then(|| numbers.mask.keep_chosen(&frozen.present(self.id, vector)))
            }
            Source::Hot(rows) => read_ints(rows, self.id, numbers),
            Source::Versions(rows) => read_ints(rows, self.id, numbers),
            Source::Rows(_) => None,
        }
    }

    fn read_floats(&self, numbers: &mut Numbers<f64>) -> Option<()> {
        match self.vector.source {
            Source::Frozen { frozen, vector } => {
                numbers.data_type = frozen.data_type(self.id)?;
                let is_read = frozen.read_f64(self.id, vector, &mut numbers.values);
                is_read.then(|| numbers.mask.keep_chosen(&frozen.present(self.id, vector)))
            }
            Source::Hot(rows) => read_floats(rows, self.id, numbers),
            Source::Versions(rows) => read_floats(rows, self.id, numbers),
            Source::Rows(_) => None,
        }
    }
}

fn float(data_type: DataType, value: f64) -> ValueRef<'static> {
    match data_type {
        DataType::Real => ValueRef::Real(value as f32),
        _ => ValueRef::Double(value),
    }
}

fn value<I: Images>(rows: &I, id: ColumnId, at: usize) -> ValueRef<'_> {
    let layout = rows.layout().expect("there is a row");
    match layout.field(id) {
        Some(field) => rows.image(at).read(layout, field),
        None => ValueRef::Null,
    }
}

/// Takes out of a mask the rows whose column is NULL.
fn keep_present<I: Images>(rows: &I, id: ColumnId, mask: &mut Mask) {
    let layout = rows.layout();
    let Some((layout, field)) = layout.and_then(|layout| Some((layout, layout.field(id)?))) else {
        return *mask = Mask::first(0);
    };
    let spot = Spot::new(layout, field);
    let nulls = Reader::<_, 0>::new(rows, spot.of_null());
    for at in 0..rows.len() {
        if spot.is_null(nulls.at(at).1) {
            mask.remove(at);
        }
    }
}

fn read_ints<I: Images>(rows: &I, id: ColumnId, numbers: &mut Numbers<i64>) -> Option<()> {
    use DataType as T;
    let layout = rows.layout()?;
    let field = layout.field(id)?;
    numbers.data_type = field.data_type;
    let spot = Spot::new(layout, field);
    match field.data_type {
        T::Boolean => read(rows, spot, numbers, |[byte]: [u8; 1]| i64::from(byte != 0)),
        T::SmallInt => read(rows, spot, numbers, |b| i16::from_le_bytes(b).into()),
        T::Integer | T::Date => read(rows, spot, numbers, |b| i32::from_le_bytes(b).into()),
        T::BigInt | T::Time | T::Timestamp | T::TimestampTz => {
            read(rows, spot, numbers, i64::from_le_bytes);
        }
        T::Numeric(Some(_)) => {
            let mut wide = 0;
            read(rows, spot, numbers, |b| {
                let mantissa = i128::from_le_bytes(b);
                wide |= u64::from(mantissa != i128::from(mantissa as i64));
                mantissa as i64
            });
            // Also where the one that does not fit is not chosen: that is too rare to look.
            return (wide == 0).then_some(());
        }
        _ => return None,
    }
    Some(())
}

fn read_floats<I: Images>(rows: &I, id: ColumnId, numbers: &mut Numbers<f64>) -> Option<()> {
    let layout = rows.layout()?;
    let field = layout.field(id)?;
    numbers.data_type = field.data_type;
    let spot = Spot::new(layout, field);
    match field.data_type {
        DataType::Real => read(rows, spot, numbers, |b| f32::from_le_bytes(b).into()),
        DataType::Double => read(rows, spot, numbers, f64::from_le_bytes),
        _ => return None,
    }
    Some(())
}

/// Reads all rows' values, whatever stands where one is NULL or dead.
fn read<T, const N: usize, I: Images>(
    rows: &I,
    spot: Spot,
    numbers: &mut Numbers<T>,
    mut decode: impl FnMut([u8; N]) -> T,
) {
    let reader = Reader::new(rows, spot);
    numbers.len = rows.len().next_multiple_of(64);
    let mut seen = 0;
    for (at, out) in numbers.values[..rows.len()].iter_mut().enumerate() {
        let (bytes, null) = reader.at(at);
        seen |= null;
        *out = decode(bytes);
    }
    if spot.is_null(seen) {
        for at in 0..rows.len() {
            if spot.is_null(reader.at(at).1) {
                numbers.mask.remove(at);
            }
        }
    }
}
