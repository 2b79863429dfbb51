//! Tables of the host: what they are asked for, what becomes of their rows, and of their failures.

use super::connect;
use crate::{
    Connection, ConstraintUsage, DataType, Database, Error, FunctionFlags, IndexConstraintOp,
    Result, RowStream, VTab, VTabScan, Value,
};
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    ArrayRef, Date32Array, FixedSizeBinaryArray, Int32Array, IntervalMonthDayNanoArray,
    RecordBatch, RecordBatchOptions, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_schema::Schema;
use parking_lot::Mutex;
use std::sync::Arc;

const INT: DataType = DataType::Integer;
const NONE: FunctionFlags = FunctionFlags::NONE;

/// The rows of a query, a line each.
fn lines(conn: &Connection, sql: &str) -> Result<Vec<String>> {
    let rows = conn.run(sql, [])?.rows.expect("a query");
    let line = |row: crate::Row<'_>| {
        let texts = row.values().zip(rows.columns()).map(|(value, column)| {
            let text = crate::function::text::format(value, column.data_type);
            text.unwrap_or_else(|| "NULL".to_owned())
        });
        texts.collect::<Vec<_>>().join("|")
    };
    Ok(rows.iter().map(line).collect())
}

fn error(conn: &Connection, sql: &str) -> (&'static str, String) {
    let error = lines(conn, sql).unwrap_err();
    (error.sqlstate(), error.message().to_owned())
}

/// A batch of columns of integers that may have no column.
fn batch(columns: Vec<Vec<i32>>, rows: usize) -> RecordBatch {
    let arrays = columns
        .into_iter()
        .map(|column| Arc::new(Int32Array::from(column)) as ArrayRef);
    let arrays: Vec<ArrayRef> = arrays.collect();
    let fields = arrays.iter().enumerate().map(|(at, array)| {
        arrow_schema::Field::new(at.to_string(), array.data_type().clone(), true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options).unwrap()
}

/// `by_row(n)` and `by_batch(n)`: n rows of a number and its double.
fn both(conn: &Connection, flags: FunctionFlags) {
    let columns = [("a", INT), ("B", INT)];
    conn.create_table_function("by_row", &[INT], &columns, flags, |context| {
        let n = context.get::<Option<i32>>(0)?.unwrap_or(2);
        Ok(RowStream::rows((1..=n).map(|a| Ok((a, i64::from(a) * 2)))))
    })
    .unwrap();
    conn.create_table_function("by_batch", &[INT], &columns, flags, |context| {
        let n = context.get::<Option<i32>>(0)?.unwrap_or(2);
        // Batches of all lengths, empty ones too.
        let starts = (0..).scan(1, move |at, size| {
            let all: Vec<i32> = (*at..(*at + size).min(n + 1)).collect();
            let is_over = *at > n;
            *at += size;
            (!is_over).then_some(all)
        });
        Ok(RowStream::batches(starts.map(|all| {
            let doubles = all.iter().map(|a| a * 2).collect();
            let rows = all.len();
            Ok(batch(vec![all, doubles], rows))
        })))
    })
    .unwrap();
}

#[test]
fn rows_and_batches_give_the_same_wherever_a_call_stands() {
    for flags in [NONE, FunctionFlags::STRICT] {
        let conn = connect();
        both(&conn, flags);
        conn.execute_batch("CREATE TABLE t (k INT); INSERT INTO t VALUES (1), (3), (NULL), (0)")
            .unwrap();
        for sql in [
            "SELECT * FROM F(3)",
            "SELECT count(*), sum(a), sum(b) FROM F(20000)",
            "SELECT k, x.a, b FROM t, F(k) x ORDER BY 1, 2",
            "SELECT k, x.a FROM t LEFT JOIN LATERAL F(k) x ON a > 1 ORDER BY 1, 2",
            "SELECT p, q, n FROM F('2') WITH ORDINALITY AS x (p, q, n)",
            "SELECT a FROM F(2000000000) LIMIT 2",
            "SELECT (SELECT sum(a) FROM F(k)) FROM t ORDER BY 1",
            "SELECT x.a, y.b FROM F(5) x JOIN F(4) y ON x.a = y.b ORDER BY 1",
            "SELECT a FROM F(9) WHERE b > 12 ORDER BY a DESC",
        ] {
            let by_row = lines(&conn, &sql.replace("F(", "by_row("));
            let by_batch = lines(&conn, &sql.replace("F(", "by_batch("));
            assert_eq!(by_row.unwrap(), by_batch.unwrap(), "{sql} {flags:?}");
        }
        let of_null = lines(&conn, "SELECT count(*) FROM by_row(NULL)").unwrap();
        let expected = if flags == NONE { "2" } else { "0" };
        assert_eq!(of_null, [expected]);
        conn.execute_batch("CREATE VIEW v AS SELECT a + b AS c FROM by_batch(2)")
            .unwrap();
        assert_eq!(lines(&conn, "SELECT * FROM v").unwrap(), ["3", "6"]);
        conn.remove_function("by_batch", &[INT]).unwrap();
        assert_eq!(error(&conn, "SELECT * FROM v").0, "42883");
    }
}

#[test]
fn a_function_of_one_column_stands_in_a_select_list() {
    let conn = connect();
    conn.create_table_function("upto", &[INT], &[("n", INT)], NONE, |context| {
        let n: i32 = context.get(0)?;
        Ok(RowStream::rows((1..=n).map(|n| Ok([n]))))
    })
    .unwrap();
    both(&conn, NONE);
    assert_eq!(lines(&conn, "SELECT upto(2), 'x'").unwrap(), ["1|x", "2|x"]);
    assert_eq!(error(&conn, "SELECT by_row(2)").0, "0A000");
    assert_eq!(error(&conn, "SELECT 1 WHERE upto(2) = 1").0, "0A000");
    assert_eq!(error(&conn, "SELECT * FROM upto(true)").0, "42883");
    let plan = lines(&conn, "EXPLAIN SELECT * FROM upto(2)").unwrap();
    assert!(
        plan.iter()
            .any(|line| line.contains("Function Call: upto(2)")),
        "{plan:?}"
    );
}

/// Says when it is dropped, by a panic.
struct Bomb(i32);

impl Iterator for Bomb {
    type Item = Result<Vec<Value>>;
    fn next(&mut self) -> Option<Self::Item> {
        self.0 += 1;
        match self.0 {
            3 => Some(Err(Error::new("P0001", "three"))),
            5 => panic!("five"),
            6 => Some(Ok(Vec::new())),
            7 => Some(Ok(vec![Value::Text("seven".to_owned())])),
            n => Some(Ok(vec![Value::Integer(n)])),
        }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn failures_and_panics_are_errors_of_the_statement_only() {
    let conn = connect();
    conn.create_table_function("bomb", &[INT], &[("n", INT)], NONE, |context| {
        let from: i32 = context.get(0)?;
        if from == 100 {
            panic!("at once");
        }
        Ok(RowStream::rows(Bomb(from)))
    })
    .unwrap();
    assert_eq!(
        error(&conn, "SELECT * FROM bomb(1)"),
        ("P0001", "three".to_owned())
    );
    let panicked = |what: &str| ("38000", format!("function bomb panicked: {what}"));
    assert_eq!(error(&conn, "SELECT * FROM bomb(3)"), panicked("five"));
    assert_eq!(error(&conn, "SELECT * FROM bomb(100)"), panicked("at once"));
    assert_eq!(error(&conn, "SELECT * FROM bomb(5)").0, "38000");
    assert_eq!(error(&conn, "SELECT * FROM bomb(6)").0, "38000");
    // Nobody asks for the rows that come after those wanted.
    assert_eq!(
        lines(&conn, "SELECT * FROM bomb(7) LIMIT 1").unwrap(),
        ["8"]
    );
    conn.execute_batch("CREATE TABLE t (n INT)").unwrap();
    assert!(
        conn.execute("INSERT INTO t SELECT * FROM bomb(1)", [])
            .is_err()
    );
    assert_eq!(lines(&conn, "SELECT count(*) FROM t").unwrap(), ["0"]);
    let columns: [(&str, DataType); 0] = [];
    let none = conn.create_table_function("x", &[], &columns, NONE, |_| Ok(RowStream::batches([])));
    assert_eq!(none.unwrap_err().sqlstate(), "42P13");
}

#[test]
fn a_stream_without_end_can_be_stopped() {
    let conn = connect();
    let handle = Mutex::new(Some(conn.interrupt_handle()));
    let handle = Arc::new(handle);
    conn.create_table_function("endless", &[], &[("n", INT)], NONE, move |_| {
        let handle = Arc::clone(&handle);
        Ok(RowStream::rows((0..).map(move |n: i32| {
            if n == 10_000
                && let Some(handle) = handle.lock().take()
            {
                handle.interrupt();
            }
            Ok([n % 7])
        })))
    })
    .unwrap();
    assert_eq!(error(&conn, "SELECT sum(n) FROM endless()").0, "57014");
    assert_eq!(
        lines(&conn, "SELECT n FROM endless() OFFSET 7 LIMIT 1").unwrap(),
        ["0"]
    );
}

/// What a scan was asked for.
type Asked = Arc<Mutex<Vec<String>>>;

/// Numbers from 0 to 9,999 in `n`, their last digit in `Digit`, and NULL.
struct Numbers {
    asked: Asked,
    n: ConstraintUsage,
}

impl VTab for Numbers {
    fn columns(&self) -> Vec<(String, DataType)> {
        let column = |name: &str| (name.to_owned(), INT);
        vec![column("n"), column("Digit"), column("nothing")]
    }

    fn best_index(&self, column: usize, _: IndexConstraintOp) -> ConstraintUsage {
        if column == 0 {
            self.n
        } else {
            ConstraintUsage::Ignored
        }
    }

    fn estimated_rows(&self) -> u64 {
        panic!("nobody knows")
    }

    fn open(&self, scan: &VTabScan<'_>) -> Result<RowStream> {
        let told: Vec<String> = scan
            .constraints
            .iter()
            .map(|known| format!("{} {} {:?}", known.column, known.op.symbol(), known.value))
            .collect();
        self.asked
            .lock()
            .push(format!("{:?} [{}]", scan.columns, told.join(", ")));
        let (mut low, mut high) = (0, 9_999);
        for known in scan.constraints {
            let Value::Integer(value) = known.value else {
                return Err(Error::new("P0001", "an integer"));
            };
            match known.op {
                IndexConstraintOp::Eq => (low, high) = (low.max(value), high.min(value)),
                IndexConstraintOp::Gt => low = low.max(value + 1),
                IndexConstraintOp::Ge => low = low.max(value),
                IndexConstraintOp::Lt => high = high.min(value - 1),
                IndexConstraintOp::Le => high = high.min(value),
            }
        }
        let columns = scan.columns.to_vec();
        let all: Vec<i32> = (low..=high).collect();
        let chunks: Vec<Vec<i32>> = all.chunks(777).map(<[i32]>::to_vec).collect();
        Ok(RowStream::batches(chunks.into_iter().map(move |chunk| {
            let column = |column: &usize| -> ArrayRef {
                match column {
                    0 => Arc::new(Int32Array::from(chunk.clone())),
                    1 => Arc::new(chunk.iter().map(|n| Some(n % 10)).collect::<Int32Array>()),
                    _ => arrow_array::new_null_array(&arrow_schema::DataType::Int32, chunk.len()),
                }
            };
            let arrays: Vec<ArrayRef> = columns.iter().map(column).collect();
            let fields = arrays
                .iter()
                .map(|array| arrow_schema::Field::new("x", array.data_type().clone(), true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
            Ok(RecordBatch::try_new_with_options(schema, arrays, &options).unwrap())
        })))
    }
}

fn numbers(usage: ConstraintUsage) -> (Connection, Asked) {
    let (conn, asked) = (connect(), Asked::default());
    let table = Numbers {
        asked: Arc::clone(&asked),
        n: usage,
    };
    conn.create_virtual_table("Numbers", table).unwrap();
    (conn, asked)
}

#[test]
fn a_virtual_table_is_asked_for_what_is_wanted_and_gives_the_same_whatever_it_makes_of_that() {
    let cases = [
        ("SELECT count(*) FROM numbers", "10000"),
        ("SELECT sum(n) FROM numbers WHERE n BETWEEN 10 AND 12", "33"),
        (
            "SELECT count(*) FROM numbers WHERE n = 5 AND digit = 5",
            "1",
        ),
        ("SELECT count(*) FROM numbers WHERE n = 5.5", "0"),
        ("SELECT count(*) FROM numbers WHERE n = NULL", "0"),
        (
            "SELECT count(*) FROM numbers WHERE 20 > n AND digit > 7",
            "4",
        ),
        ("SELECT count(*) FROM numbers WHERE n = 3 OR n = 4", "2"),
        (
            "SELECT count(*) FROM numbers WHERE nothing IS NULL AND n < 3",
            "3",
        ),
        (
            "SELECT max(a.n) FROM numbers a JOIN numbers b ON a.n = b.n WHERE b.digit = 8",
            "9998",
        ),
        (
            "SELECT sum((SELECT count(*) FROM numbers b WHERE b.n < a.n)) FROM numbers a WHERE n <= 3",
            "6",
        ),
        ("SELECT n FROM numbers ORDER BY n DESC LIMIT 1", "9999"),
        (
            "WITH d AS MATERIALIZED (SELECT digit FROM numbers) SELECT count(DISTINCT digit) FROM d",
            "10",
        ),
    ];
    for usage in [
        ConstraintUsage::Ignored,
        ConstraintUsage::Used,
        ConstraintUsage::Exact,
    ] {
        let (conn, _) = numbers(usage);
        for (sql, expected) in cases {
            assert_eq!(lines(&conn, sql).unwrap(), [expected], "{sql} {usage:?}");
            conn.execute_batch("SET optimize = off").unwrap();
            assert_eq!(lines(&conn, sql).unwrap(), [expected], "{sql} {usage:?}");
            conn.execute_batch("SET optimize = on").unwrap();
        }
    }
    let (conn, asked) = numbers(ConstraintUsage::Exact);
    let mut statement = conn
        .prepare("SELECT digit FROM numbers WHERE n > $1 AND n <= 12")
        .unwrap();
    let digit: i32 = statement.query_row([11], |row| row.get(0)).unwrap();
    assert_eq!(digit, 2);
    let of_null = conn.query_row(
        "SELECT count(*) FROM numbers WHERE n = $1",
        [None::<i32>],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(of_null.unwrap(), 0_i64);
    lines(&conn, "SELECT count(*) FROM numbers WHERE digit = 3").unwrap();
    let told = asked.lock().clone();
    assert_eq!(told, ["[1] [0 > Integer(11), 0 <= Integer(12)]", "[1] []"]);
    let plan = lines(
        &conn,
        "EXPLAIN SELECT digit FROM numbers WHERE n = 3 AND digit > 1",
    )
    .unwrap();
    assert_eq!(
        plan,
        [
            "Virtual Scan on numbers",
            "  Table Cond: (n = 3)",
            "  Filter: (digit > 1)"
        ]
    );
}

#[test]
fn a_virtual_table_is_there_for_whoever_made_it_known_and_is_only_read() {
    let (conn, _) = numbers(ConstraintUsage::Used);
    let kinds =
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_type = 'FOREIGN'";
    assert_eq!(lines(&conn, kinds).unwrap(), ["numbers|FOREIGN"]);
    let columns = "SELECT column_name, data_type FROM information_schema.columns \
                   WHERE table_name = 'numbers' ORDER BY ordinal_position";
    let shown = lines(&conn, columns).unwrap();
    assert_eq!(shown, ["n|integer", "digit|integer", "nothing|integer"]);
    for sql in [
        "INSERT INTO numbers VALUES (1, 2, 3)",
        "UPDATE numbers SET n = 1",
        "DELETE FROM numbers",
        "TRUNCATE numbers",
        "CREATE INDEX ON numbers (n)",
    ] {
        let error = conn.execute(sql, []).unwrap_err();
        assert_eq!(error.sqlstate(), "42809", "{sql}: {error}");
    }
    assert_eq!(
        error(&conn, "SELECT * FROM numbers FOR UPDATE OF numbers").0,
        "0A000"
    );
    assert_eq!(error(&conn, "SELECT * FROM public.numbers").0, "42P01");
    conn.execute_batch("CREATE VIEW v AS SELECT n FROM numbers WHERE n < 2")
        .unwrap();
    assert_eq!(lines(&conn, "SELECT * FROM v").unwrap(), ["0", "1"]);
    conn.execute_batch("CREATE TABLE copied AS SELECT * FROM numbers WHERE digit = 0")
        .unwrap();
    assert_eq!(
        lines(&conn, "SELECT count(*) FROM copied").unwrap(),
        ["1000"]
    );
    let taken = conn.execute("CREATE TABLE numbers (n INT)", []);
    assert_eq!(taken.unwrap_err().sqlstate(), "42P07");
    conn.remove_virtual_table("NUMBERS").unwrap();
    // What is stored goes before it.
    conn.execute_batch("CREATE TABLE numbers (n INT)").unwrap();
    let again = Numbers {
        asked: Asked::default(),
        n: ConstraintUsage::Ignored,
    };
    conn.create_virtual_table("numbers", again).unwrap();
    assert_eq!(lines(&conn, "SELECT count(*) FROM numbers").unwrap(), ["0"]);
    conn.execute_batch("DROP TABLE numbers").unwrap();
    assert_eq!(
        lines(&conn, "SELECT count(*) FROM numbers").unwrap(),
        ["10000"]
    );
    conn.remove_virtual_table("numbers").unwrap();
    assert_eq!(error(&conn, "SELECT * FROM numbers").0, "42P01");
}

/// What it says of itself is wrong in one way or another.
struct Odd(Vec<(&'static str, DataType)>);

impl VTab for Odd {
    fn columns(&self) -> Vec<(String, DataType)> {
        let columns = self.0.iter();
        columns
            .map(|(name, of)| ((*name).to_owned(), *of))
            .collect()
    }

    fn open(&self, _: &VTabScan<'_>) -> Result<RowStream> {
        Ok(RowStream::batches([Ok(batch(vec![vec![1], vec![2]], 1))]))
    }
}

#[test]
fn what_a_table_says_of_itself_is_checked() {
    let db = Database::in_memory().unwrap();
    let refused = |columns: Vec<(&'static str, DataType)>| {
        let error = db.create_virtual_table("odd", Odd(columns)).unwrap_err();
        error.sqlstate()
    };
    assert_eq!(refused(Vec::new()), "42P16");
    assert_eq!(refused(vec![("a", DataType::Varchar(Some(3)))]), "42P16");
    assert_eq!(refused(vec![("a", INT), ("A", INT)]), "42701");
    db.create_virtual_table("odd", Odd(vec![("a", INT), ("b", DataType::Text)]))
        .unwrap();
    let conn = db.connect().unwrap();
    let (sqlstate, message) = error(&conn, "SELECT * FROM odd");
    assert_eq!(sqlstate, "38000");
    assert_eq!(
        message,
        "function odd gave a batch of (Int32, Int32), and has to give (Int32, Utf8View)"
    );
    db.remove_virtual_table("odd").unwrap();
    assert_eq!(
        error(&db.connect().unwrap(), "SELECT * FROM odd").0,
        "42P01"
    );
}

/// Intervals of Arrow have nanoseconds, those of SQL microseconds.
#[test]
fn intervals_of_the_host_are_cut_to_microseconds() {
    let conn = connect();
    let columns = [("n", DataType::Integer), ("a", DataType::Interval)];
    conn.create_table_function("given", &[], &columns, NONE, move |_| {
        let value = |nanoseconds| IntervalMonthDayNano::new(1, 2, nanoseconds);
        let values = vec![Some(value(1_500)), None, Some(value(-3_600_000_000_999))];
        let arrays: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int32Array::from(vec![1, 2, 3]))),
            ("a", Arc::new(IntervalMonthDayNanoArray::from(values))),
        ];
        Ok(RowStream::batches([Ok(
            RecordBatch::try_from_iter(arrays).unwrap()
        )]))
    })
    .unwrap();
    let found = lines(&conn, "SELECT n, a FROM given() ORDER BY n").unwrap();
    assert_eq!(
        found,
        [
            "1|1 mon 2 days 00:00:00.000001",
            "2|NULL",
            "3|1 mon 2 days -01:00:00"
        ]
    );
}

/// Arrays of the host may hold what no value of the type is: that is an error, or is shown somehow.
#[test]
fn arrays_of_the_host_may_hold_anything() {
    let numeric = FixedSizeBinaryArray::try_from_iter([[0x80_u8; 17]].iter()).unwrap();
    let arrays: Vec<(DataType, ArrayRef)> = vec![
        (DataType::Numeric(None), Arc::new(numeric)),
        (DataType::Date, Arc::new(Date32Array::from(vec![i32::MAX]))),
        (
            DataType::Date,
            Arc::new(Date32Array::from(vec![i32::MIN + 2])),
        ),
        (
            DataType::Time,
            Arc::new(Time64MicrosecondArray::from(vec![i64::MIN])),
        ),
        (
            DataType::Time,
            Arc::new(Time64MicrosecondArray::from(vec![i64::MAX])),
        ),
        (
            DataType::Timestamp,
            Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX - 1])),
        ),
        (
            DataType::Timestamp,
            Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN + 2])),
        ),
    ];
    for (data_type, array) in arrays {
        let conn = connect();
        let columns = [("a", data_type)];
        conn.create_table_function("given", &[], &columns, NONE, move |_| {
            let batch = RecordBatch::try_from_iter([("a", Arc::clone(&array))]).unwrap();
            Ok(RowStream::batches([Ok(batch)]))
        })
        .unwrap();
        for sql in [
            "SELECT a FROM given()",
            "SELECT a::text, a = a, a < a FROM given() ORDER BY a",
            "SELECT min(a), max(a), count(DISTINCT a) FROM given()",
            "CREATE TABLE t AS SELECT a FROM given(); CREATE INDEX ON t (a); SELECT * FROM t WHERE a >= (SELECT a FROM t)",
        ] {
            let done = conn
                .execute_batch(sql)
                .and_then(|()| lines(&conn, sql.split(';').next_back().unwrap()));
            if let Err(error) = done {
                assert_ne!(error.sqlstate(), "XX000", "{data_type}: {error}");
            }
        }
    }
}
