//! Tables of the program that embeds the database: functions that give rows, and virtual tables.
//!
//! ```text
//!   table function   arguments -> rows                      FROM f(1, 'x'), LATERAL too
//!   virtual table    columns wanted, constraints -> rows    FROM t, as any table that is only read
//! ```
//!
//! Both give a [`RowStream`]: an iterator over rows of values, or over Arrow batches. It is asked for the next
//! ones only when the statement wants them, so that a table without end takes no room and `LIMIT` stops it.
//!
//! A virtual table says once, when it is made known, which comparisons of a column with a value it can make use of
//! ([`VTab::best_index`]); so a plan is made without a call of the host. When a scan is opened it is told the
//! values.
//!
//! Invariants
//! - What a stream gives is of the declared types, or the statement fails (38000).
//! - A panic, in a call or while a stream is read or dropped, goes no further than the statement.
//! - Whether to stop is looked at before each batch, and every so many rows of a stream of values.
//! - What a table only *uses* of a condition is tested again.

use super::EvalContext;
use super::host::{check_values, fitted, guarded, invalid_result};
use super::table::TableRows;
use crate::error::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::{IntervalMonthDayNano, IntervalMonthDayNanoType};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::DataType as ArrowType;
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Value, ValueRef};
use std::fmt;
use std::sync::Arc;

/// Rows of values between two looks at whether to stop.
const ROWS_BETWEEN_CHECKS: usize = 256;
/// Bytes of strings after which a batch of values is long enough.
const BATCH_BYTES: usize = 1 << 20;

/// Rows that the host gives, some at a time.
pub struct RowStream(Rows);

enum Rows {
    Values(Box<dyn Iterator<Item = Result<Vec<Value>>> + Send>),
    Batches(Box<dyn Iterator<Item = Result<RecordBatch>> + Send>),
}

impl RowStream {
    /// Rows as values, one a column.
    pub(crate) fn of_values(
        rows: impl Iterator<Item = Result<Vec<Value>>> + Send + 'static,
    ) -> Self {
        Self(Rows::Values(Box::new(rows)))
    }

    /// Rows as Arrow batches of any length, with one array a column, of the types that [`DataType::arrow`] tells;
    /// what their columns are called makes no difference.
    pub fn batches<I>(batches: I) -> Self
    where
        I: IntoIterator<Item = Result<RecordBatch>>,
        I::IntoIter: Send + 'static,
    {
        Self(Rows::Batches(Box::new(batches.into_iter())))
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowStream")
    }
}

/// A stream that is being read.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Who gives it.
    name: String,
    types: Vec<DataType>,
    /// `None` after its end, and after an error.
    stream: Option<RowStream>,
    /// What is left of a batch.
    rest: Option<RecordBatch>,
}

impl Feed {
    /// The stream that a call gives.
    pub(crate) fn begin(
        name: &str,
        types: Vec<DataType>,
        call: impl FnOnce() -> Result<RowStream>,
    ) -> Result<Self> {
        Ok(Self {
            stream: Some(guarded(name, call)?),
            name: name.to_owned(),
            types,
            rest: None,
        })
    }

    /// The next rows, at most `wanted`, as columns, and how many they are; `None` at the end.
    ///
    /// # Errors
    /// Those of the host; 38000 where it panics or gives what it was not declared to give; those of
    /// [`EvalContext::check`].
    pub(crate) fn next(
        &mut self,
        wanted: usize,
        context: &EvalContext,
    ) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let next = self.some(wanted, context);
        if !matches!(next, Ok(Some(_))) {
            self.end();
        }
        next
    }

    fn some(
        &mut self,
        wanted: usize,
        context: &EvalContext,
    ) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        loop {
            context.check()?;
            if let Some(rest) = self.rest.take() {
                let rows = rest.num_rows().min(wanted);
                if rows < rest.num_rows() {
                    self.rest = Some(rest.slice(rows, rest.num_rows() - rows));
                }
                if rows > 0 {
                    return Ok(Some((rest.slice(0, rows).columns().to_vec(), rows)));
                }
            }
            let Some(stream) = &mut self.stream else {
                return Ok(None);
            };
            match &mut stream.0 {
                Rows::Values(rows) => {
                    let given = gathered(&self.name, &self.types, rows, wanted, context)?;
                    return Ok((given.1 > 0).then_some(given));
                }
                Rows::Batches(batches) => {
                    let Some(batch) = guarded(&self.name, || batches.next().transpose())? else {
                        return Ok(None);
                    };
                    self.check(&batch)?;
                    self.rest = Some(in_microseconds(&batch));
                }
            }
        }
    }

    fn check(&self, batch: &RecordBatch) -> Result<()> {
        let found = batch
            .columns()
            .iter()
            .map(|column| column.data_type().clone());
        let wanted = self.types.iter().map(|wanted| wanted.arrow());
        let (found, wanted): (Vec<_>, Vec<_>) = (found.collect(), wanted.collect());
        if found == wanted {
            let mut columns = self.types.iter().zip(batch.columns());
            return columns.try_for_each(|(data_type, column)| {
                check_values(&self.name, *data_type, column.as_ref())
            });
        }
        let list = |types: &[ArrowType]| {
            let names: Vec<String> = types.iter().map(ArrowType::to_string).collect();
            names.join(", ")
        };
        let (found, wanted) = (list(&found), list(&wanted));
        let what = format!("gave a batch of ({found}), and has to give ({wanted})");
        Err(invalid_result(&self.name, &what))
    }

    fn end(&mut self) {
        self.rest = None;
        if let Some(stream) = self.stream.take() {
            // What it fails with when nobody asks for more is told to nobody.
            let _ = guarded(&self.name, || {
                drop(stream);
                Ok(())
            });
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end();
    }
}

/// Converts the intervals of a batch to microseconds, which the engine's arrays count.
fn in_microseconds(batch: &RecordBatch) -> RecordBatch {
    let is_interval = |column: &ArrayRef| matches!(column.data_type(), ArrowType::Interval(_));
    let columns = batch
        .columns()
        .iter()
        .map(|column| match is_interval(column) {
            false => Arc::clone(column),
            true => {
                let intervals = column.as_primitive::<IntervalMonthDayNanoType>();
                let converted = intervals.unary::<_, IntervalMonthDayNanoType>(|interval| {
                    IntervalMonthDayNano {
                        nanoseconds: interval.nanoseconds / 1000,
                        ..interval
                    }
                });
                Arc::new(converted)
            }
        });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let converted = RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options);
    converted.expect("the columns are of the same types and lengths")
}

/// Rows of values as columns.
fn gathered(
    name: &str,
    types: &[DataType],
    rows: &mut dyn Iterator<Item = Result<Vec<Value>>>,
    wanted: usize,
    context: &EvalContext,
) -> Result<(Vec<ArrayRef>, usize)> {
    let builders = types
        .iter()
        .map(|data_type| ColumnBuilder::new(*data_type, 0));
    let mut builders: Vec<ColumnBuilder> = builders.collect();
    let (mut given, mut bytes) = (0, 0);
    while given < wanted && bytes < BATCH_BYTES {
        if given % ROWS_BETWEEN_CHECKS == ROWS_BETWEEN_CHECKS - 1 {
            context.check()?;
        }
        let Some(row) = guarded(name, || rows.next().transpose())? else {
            break;
        };
        if row.len() != types.len() {
            let message = format!(
                "gave a row of {} values, and has to give {}",
                row.len(),
                types.len()
            );
            return Err(invalid_result(name, &message));
        }
        for ((builder, data_type), value) in builders.iter_mut().zip(types).zip(row) {
            if let Value::Text(text) = &value {
                bytes += text.len();
            }
            builder.push(fitted(name, *data_type, value, context)?.as_ref());
        }
        given += 1;
    }
    Ok((
        builders.iter_mut().map(ColumnBuilder::finish).collect(),
        given,
    ))
}

impl TableRows for Feed {
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        context: &EvalContext,
    ) -> Result<usize> {
        let mut given = 0;
        while given < wanted {
            let Some((arrays, found)) = Self::next(self, wanted - given, context)? else {
                break;
            };
            for ((builder, array), data_type) in rows.iter_mut().zip(&arrays).zip(&self.types) {
                (0..found).for_each(|row| builder.push(value_at(array.as_ref(), *data_type, row)));
            }
            given += found;
        }
        Ok(given)
    }
}

/// What a table function of the host does.
pub(crate) type HostRows = dyn Fn(&[ValueRef<'_>]) -> Result<RowStream> + Send + Sync;

/// A function of the host that gives rows.
pub(crate) struct HostTableFunction {
    /// Its name, as an unquoted one is folded.
    pub name: String,
    /// The types it takes, without modifiers.
    pub arguments: Vec<DataType>,
    /// The columns of its rows.
    pub columns: Vec<(String, DataType)>,
    /// Whether a NULL argument gives no rows without a call.
    pub strict: bool,
    /// What it does.
    pub(crate) call: Box<HostRows>,
}

impl fmt::Debug for HostTableFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

impl HostTableFunction {
    /// Begins a call.
    pub(crate) fn start(&self, arguments: &[Value]) -> Result<Box<dyn TableRows>> {
        let values: Vec<ValueRef<'_>> = arguments.iter().map(Value::as_ref).collect();
        let types = self.columns.iter().map(|(_, data_type)| *data_type);
        let feed = Feed::begin(&self.name, types.collect(), || (self.call)(&values))?;
        Ok(Box::new(feed))
    }
}

/// A comparison that a constraint of a [`VTab`] makes: `column op value`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IndexConstraintOp {
    /// `=`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl IndexConstraintOp {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Eq, Self::Lt, Self::Le, Self::Gt, Self::Ge];

    /// As SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// What a [`VTab`] makes of a constraint.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ConstraintUsage {
    /// Nothing: it is not told of it.
    #[default]
    Ignored,
    /// It is told, and may leave out rows for which it is not true. The engine tests all it gives.
    Used,
    /// It is told, and gives no other rows: the engine does not test it.
    Exact,
}

/// A condition that all rows of a scan have to meet.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexConstraint {
    /// The number of the column, from 0.
    pub column: usize,
    /// How it is compared.
    pub op: IndexConstraintOp,
    /// With what: of the column's type, never NULL. Strings compare byte by byte.
    pub value: Value,
}

/// What is wanted of a virtual table.
#[derive(Clone, Copy, Debug)]
pub struct VTabScan<'a> {
    /// The numbers of the columns to give, in this order; there may be none, and rows are then counted.
    pub columns: &'a [usize],
    /// Conditions, of those that [`VTab::best_index`] did not ignore. All of them hold of what is wanted.
    pub constraints: &'a [IndexConstraint],
}

/// A virtual table: rows that the host makes while they are read.
///
/// The names are those of rusqlite's `vtab`, where there is something of the kind; but a scan is one iterator over
/// batches or rows, instead of a cursor that is moved.
pub trait VTab: Send + Sync + 'static {
    /// Name and type of each column. Asked once, when the table is made known.
    fn columns(&self) -> Vec<(String, DataType)>;

    /// What it makes of conditions `column op value`. Asked once for each column and comparison, when the table is
    /// made known.
    fn best_index(&self, column: usize, op: IndexConstraintOp) -> ConstraintUsage {
        let _ = (column, op);
        ConstraintUsage::Ignored
    }

    /// About how many rows it has: of two sides of a join the one with fewer is kept in memory. Asked when a
    /// statement is planned.
    fn estimated_rows(&self) -> u64 {
        1_000
    }

    /// Begins a scan.
    ///
    /// # Errors
    /// Yours: the statement fails with them.
    fn open(&self, scan: &VTabScan<'_>) -> Result<RowStream>;
}

/// A virtual table that is known by a name.
pub(crate) struct HostTable {
    /// Its name, as an unquoted one is folded.
    pub name: String,
    /// Its columns.
    pub columns: Vec<(String, DataType)>,
    /// What it makes of comparisons: for each column of each of [`IndexConstraintOp::ALL`].
    pub(crate) usage: Vec<[ConstraintUsage; 5]>,
    pub(crate) vtab: Box<dyn VTab>,
}

impl fmt::Debug for HostTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl HostTable {
    /// A table as it says it is.
    ///
    /// # Errors
    /// 38000 where it panics.
    pub(crate) fn new(name: String, vtab: Box<dyn VTab>) -> Result<Self> {
        let asked = || {
            let columns = vtab.columns();
            let usage = |column| IndexConstraintOp::ALL.map(|op| vtab.best_index(column, op));
            let usage = (0..columns.len()).map(usage).collect();
            Ok((columns, usage))
        };
        let (columns, usage) = guarded(&name, asked)?;
        Ok(Self {
            name,
            columns,
            usage,
            vtab,
        })
    }

    /// What it makes of a comparison.
    pub(crate) fn usage(&self, column: usize, op: IndexConstraintOp) -> ConstraintUsage {
        let known = self.usage.get(column);
        known.map_or(ConstraintUsage::Ignored, |known| known[op as usize])
    }

    /// About how many rows it has.
    pub(crate) fn rows(&self) -> u64 {
        // A guess that fails is no reason to fail.
        guarded(&self.name, || Ok(self.vtab.estimated_rows())).unwrap_or(1_000)
    }

    /// Begins a scan.
    pub(crate) fn open(&self, scan: &VTabScan<'_>) -> Result<Feed> {
        let types = scan.columns.iter().map(|column| self.columns[*column].1);
        Feed::begin(&self.name, types.collect(), || self.vtab.open(scan))
    }
}
