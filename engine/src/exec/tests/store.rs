//! Statements over a store in memory: scans, look-ups, INSERT, UPDATE, DELETE, COPY.

use super::super::{
    Cursor, PointRows, arrow_schema, copy_from, copy_to, delete as run_delete, fold_row,
    insert as run_insert, point_select, update as run_update,
};
use super::*;
use crate::error::{Error, state};
use crate::exec::Transaction;
use crate::exec::aggregate::fold::Fold;
use crate::function::aggregate::host::Callable;
use crate::plan::physical::{
    AggregateCall, IndexKeys, IndexScan, KeyEnd, Node, PhysicalPlan, TableScan,
};
use crate::plan::statement::{
    Copy, CopyDirection, CsvFormat, Delete, Insert, InsertSource, Lookup, PointSelect, RowCheck,
    Target, Update,
};
use remora_storage::catalog::{ColumnDef, IndexDef, IndexEntry, TableDef, TableEntry};
use remora_storage::transaction::Columns;
use remora_storage::{ColumnId, Store, StoreOptions, TransactionOptions};
use std::sync::Arc;

/// `CREATE TABLE t (id BIGINT PRIMARY KEY CHECK (id > 0), name TEXT NOT NULL, note TEXT)`
struct World {
    tx: Transaction,
    context: ExecContext,
}

const ID: ColumnId = ColumnId(1);
const NAME: ColumnId = ColumnId(2);
const NOTE: ColumnId = ColumnId(3);

fn column_def(id: ColumnId, name: &str, data_type: DataType, not_null: bool) -> ColumnDef {
    ColumnDef {
        not_null,
        ..ColumnDef::new(id, name, data_type)
    }
}

fn text(value: impl Into<Option<&'static str>>) -> Value {
    value
        .into()
        .map_or(Value::Null, |text| Value::Text(text.into()))
}

impl World {
    fn new() -> Self {
        let options = StoreOptions {
            manual_maintenance: true,
            ..StoreOptions::default()
        };
        let store = Store::in_memory(options).expect("a store");
        let mut tx =
            Transaction::begin(&store, TransactionOptions::default()).expect("a transaction");
        tx.begin_command();
        let columns = vec![
            column_def(ID, "id", BIGINT, true),
            column_def(NAME, "name", TEXT, true),
            column_def(NOTE, "note", TEXT, false),
        ];
        let table = tx.create_table(TableDef::new("t", columns));
        let index = IndexDef::primary_key("t_pkey", table.expect("a table"), [ID]);
        tx.create_index(index).expect("an index");
        tx.begin_command();
        Self {
            tx,
            context: context(),
        }
    }

    /// With Ann and Bob in it.
    fn peopled() -> Self {
        let mut world = Self::new();
        let ann = [big(1), text("Ann"), text(None)];
        let bob = [big(2), text("Bob"), text("likes pie")];
        assert_eq!(world.insert(&[ann, bob]).unwrap(), 2);
        world
    }

    fn table(&self) -> Arc<TableEntry> {
        self.tx.catalog().table("t").expect("the table").clone()
    }

    fn index(&self) -> Arc<IndexEntry> {
        self.table().indexes[0].clone()
    }

    fn insert_plan(&self, source: InsertSource) -> Insert {
        Insert {
            table: self.table(),
            source,
            checks: checks(),
            generated: Vec::new(),
            on_conflict: None,
            returning: None,
        }
    }

    fn insert(&mut self, rows: &[[Value; 3]]) -> Result<u64> {
        let literal = |value: &Value| Expr::literal(value.clone(), TEXT);
        let rows = rows.iter().map(|row| row.iter().map(literal).collect());
        let plan = self.insert_plan(InsertSource::Values(rows.collect()));
        self.command(|tx, context| Ok(run_insert(&plan, tx, context)?.rows))
    }

    /// Runs a statement as a session does: at an error its traces are rolled back.
    fn command<T>(
        &mut self,
        run: impl FnOnce(&mut Transaction, &ExecContext) -> Result<T>,
    ) -> Result<T> {
        let mark = self.tx.begin_command();
        let result = run(&mut self.tx, &self.context);
        if result.is_err() {
            self.tx.rollback_to(mark);
        }
        self.tx.begin_command();
        result
    }

    fn scan_of(&self, row_id: bool, filter: Option<Expr>) -> TableScan {
        TableScan {
            table: self.table(),
            columns: vec![ID, NAME, NOTE],
            row_id,
            bounds: Vec::new(),
            filter,
            skips_locked: false,
        }
    }

    fn scan(&self, row_id: bool, filter: Option<Expr>) -> PhysicalPlan {
        let types = [BIGINT, TEXT, TEXT, BIGINT];
        PhysicalPlan {
            node: Node::TableScan(self.scan_of(row_id, filter).into()),
            schema: schema(&types[..if row_id { 4 } else { 3 }]),
        }
    }

    fn query(&self, plan: &PhysicalPlan) -> Vec<Vec<Value>> {
        let (schema, view) = (arrow_schema(&plan.schema), self.tx.view());
        let mut cursor = Cursor::new(plan, schema, view, &self.context).expect("a plan");
        let mut rows = Vec::new();
        while let Some(batch) = cursor.next().expect("a batch") {
            for row in 0..batch.num_rows() {
                let value = |(position, array): (usize, &arrow_array::ArrayRef)| {
                    value_at(array, plan.schema[position].data_type, row).to_owned()
                };
                rows.push(batch.columns().iter().enumerate().map(value).collect());
            }
        }
        rows
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        self.query(&self.scan(false, None))
    }

    fn lookup(&self, id: i64, filter: Option<Expr>) -> Lookup {
        Lookup {
            table: self.table(),
            index: self.index(),
            key: vec![number(id)],
            filter,
            columns: Columns::ALL,
        }
    }

    fn by_index(&self, keys: IndexKeys, reverse: bool) -> Vec<Value> {
        let plan = PhysicalPlan {
            node: Node::IndexScan(Arc::new(IndexScan {
                scan: self.scan_of(false, None),
                index: self.index(),
                keys,
                reverse,
                read_max: None,
            })),
            schema: schema(&[BIGINT, TEXT, TEXT]),
        };
        self.query(&plan)
            .into_iter()
            .map(|row| row[0].clone())
            .collect()
    }

    fn update(&mut self, target: Target, assignments: Vec<(ColumnId, Expr)>) -> Result<u64> {
        let plan = Update {
            table: self.table(),
            target,
            assignments,
            generated: Vec::new(),
            checks: checks(),
            returning: None,
        };
        self.command(|tx, context| Ok(run_update(&plan, tx, context)?.rows))
    }

    fn copy(&mut self, mut file: &[u8], columns: Vec<usize>) -> Result<u64> {
        let copy = Copy {
            direction: CopyDirection::From {
                insert: self.insert_plan(InsertSource::Values(Vec::new())),
                columns,
                defaults: vec![number(None), Expr::literal(text("?"), TEXT), number(None)],
            },
            path: None,
            format: csv(),
        };
        self.command(|tx, context| copy_from(&copy, &mut file, tx, context))
    }
}

fn checks() -> Vec<RowCheck> {
    vec![RowCheck {
        name: "t_id_check".into(),
        of_view: false,
        condition: call(">", vec![column(0), number(0)]),
        asked: None,
    }]
}

fn csv() -> CsvFormat {
    CsvFormat {
        header: false,
        delimiter: b',',
        quote: b'"',
        escape: b'"',
        null: String::new(),
    }
}

fn facts(error: &Error) -> (&str, &str, &str) {
    (
        error.sqlstate(),
        error.message(),
        error.detail().unwrap_or_default(),
    )
}

#[test]
fn rows_that_break_a_constraint_leave_no_trace() {
    let mut world = World::peopled();
    let cid = [big(3), text("Cid"), text(None)];
    let error = world
        .insert(&[cid.clone(), [big(4), text(None), text("x")]])
        .unwrap_err();
    assert_eq!(
        facts(&error),
        (
            "23502",
            "null value in column \"name\" of relation \"t\" violates not-null constraint",
            "Failing row contains (4, null, x)."
        )
    );
    let error = world
        .insert(&[cid.clone(), [big(-4), text("Dan"), text("")]])
        .unwrap_err();
    assert_eq!(
        facts(&error),
        (
            "23514",
            "new row for relation \"t\" violates check constraint \"t_id_check\"",
            "Failing row contains (-4, Dan, )."
        )
    );
    let error = world
        .insert(&[cid, [big(1), text("Eve"), text(None)]])
        .unwrap_err();
    assert_eq!(error.sqlstate(), state::UNIQUE_VIOLATION);
    assert_eq!(world.rows().len(), 2);
}

#[test]
fn a_query_may_fill_the_table_that_it_reads() {
    let mut world = World::peopled();
    let project = Node::Project {
        input: Box::new(world.scan(false, None)),
        exprs: vec![
            call("+", vec![column(0), number(10)]),
            Expr::column(1, TEXT),
            Expr::column(1, TEXT),
        ],
    };
    let query = PhysicalPlan {
        node: project,
        schema: schema(&[BIGINT, TEXT, TEXT]),
    };
    let plan = world.insert_plan(InsertSource::Query(Box::new(query)));
    let inserted = world.command(|tx, context| Ok(run_insert(&plan, tx, context)?.rows));
    assert_eq!(inserted.unwrap(), 2);
    assert_eq!(world.rows()[3], [big(12), text("Bob"), text("Bob")]);
}

#[test]
fn a_row_is_read_by_its_key() {
    let world = World::peopled();
    let select = |id, filter| PointSelect {
        lookup: world.lookup(id, filter),
        exprs: vec![Expr::column(1, TEXT), call("+", vec![column(0), column(0)])],
        schema: schema(&[TEXT, BIGINT]),
        otherwise: None,
    };
    let mut row = Vec::new();
    let mut find = |id, filter| {
        let found = point_select(&select(id, filter), &world.tx, &world.context, &mut row);
        match found.unwrap() {
            PointRows::One(found) => found.then(|| row.clone()),
            other => panic!("a unique key has one row, not {other:?}"),
        }
    };
    assert_eq!(find(2, None), Some(vec![text("Bob"), big(4)]));
    assert_eq!(find(1, None), Some(vec![text("Ann"), big(2)]));
    assert_eq!(find(3, None), None);
    let never = call("<", vec![column(0), number(0)]);
    assert_eq!(find(2, Some(never)), None);
}

#[test]
fn an_index_gives_points_and_ranges_in_order() {
    let mut world = World::new();
    for id in [5, 3, 9, 7] {
        world.insert(&[[big(id), text("x"), text(None)]]).unwrap();
    }
    let point = |id| vec![number(id)];
    let points = vec![
        point(Some(7)),
        point(Some(4)),
        point(Some(7)),
        point(None),
        point(Some(3)),
    ];
    assert_eq!(
        world.by_index(IndexKeys::Points(points), false),
        [big(7), big(3)]
    );
    let range = |low, high| IndexKeys::Range { low, high };
    let all = range(KeyEnd::Open, KeyEnd::Open);
    assert_eq!(world.by_index(all, true), [big(9), big(7), big(5), big(3)]);
    let middle = range(
        KeyEnd::Excluded(point(Some(3))),
        KeyEnd::Included(point(Some(7))),
    );
    assert_eq!(world.by_index(middle, false), [big(5), big(7)]);
    let nothing = range(KeyEnd::Included(point(None)), KeyEnd::Open);
    assert!(world.by_index(nothing, false).is_empty());
}

#[test]
fn keys_move_up_without_meeting_their_own_new_rows() {
    let mut world = World::new();
    for id in 1..=3 {
        world
            .insert(&[[big(id * 10), text("x"), text(None)]])
            .unwrap();
    }
    let scan = Target::Scan(Box::new(world.scan(true, None)));
    let ten_more = call("+", vec![column(0), number(15)]);
    assert_eq!(world.update(scan, vec![(ID, ten_more)]).unwrap(), 3);
    let ids: Vec<_> = world.rows().into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, [big(25), big(35), big(45)]);
}

#[test]
fn an_update_tests_what_it_assigns() {
    let mut world = World::peopled();
    let null = || vec![(NAME, Expr::literal(Value::Null, TEXT))];
    let minus = || vec![(ID, call("-", vec![number(0), column(0)]))];
    let point = |world: &World| Target::Point(world.lookup(2, None));
    let scan = |world: &World| Target::Scan(Box::new(world.scan(true, None)));
    for target in [point, scan] {
        let of_world = target(&world);
        let error = world.update(of_world, null()).unwrap_err();
        assert_eq!(error.sqlstate(), state::NOT_NULL_VIOLATION);
        let of_world = target(&world);
        let error = world.update(of_world, minus()).unwrap_err();
        assert_eq!(error.sqlstate(), state::CHECK_VIOLATION);
    }
    let of_world = point(&world);
    let note = vec![(NOTE, Expr::column(1, TEXT))];
    assert_eq!(world.update(of_world, note).unwrap(), 1);
    assert_eq!(world.rows()[1], [big(2), text("Bob"), text("Bob")]);
}

#[test]
fn rows_are_deleted_by_key_and_by_scan() {
    let mut world = World::peopled();
    let mut delete = |target: &dyn Fn(&World) -> Target| {
        let plan = Delete {
            table: world.table(),
            row_id: world.table().def.columns.len(),
            target: target(&world),
            returning: None,
        };
        world
            .command(|tx, context| Ok(run_delete(&plan, tx, context)?.rows))
            .unwrap()
    };
    assert_eq!(delete(&|world| Target::Point(world.lookup(9, None))), 0);
    assert_eq!(delete(&|world| Target::Point(world.lookup(1, None))), 1);
    assert_eq!(
        delete(&|world| Target::Scan(Box::new(world.scan(true, None)))),
        1
    );
    assert!(world.rows().is_empty());
}

#[test]
fn a_csv_file_goes_in_and_comes_out_again() {
    let mut world = World::new();
    let file = b"1,Ann,\n2,\"Bo\"\"b\",\"\"\n3,\"C,d\",x\n";
    assert_eq!(world.copy(file, vec![0, 1, 2]).unwrap(), 3);
    assert_eq!(world.rows()[0], [big(1), text("Ann"), text(None)]);
    let copy = Copy {
        direction: CopyDirection::To(Box::new(world.scan(false, None))),
        path: None,
        format: csv(),
    };
    let mut out = Vec::new();
    assert_eq!(
        copy_to(&copy, &mut out, world.tx.view(), &world.context).unwrap(),
        3
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        String::from_utf8_lossy(file)
    );
}

#[test]
fn columns_that_a_file_lacks_get_their_defaults() {
    let mut world = World::new();
    assert_eq!(world.copy(b"a,1\n", vec![2, 0]).unwrap(), 1);
    assert_eq!(world.rows(), [[big(1), text("?"), text("a")]]);
}

#[test]
fn a_bad_record_names_its_line_and_nothing_is_loaded() {
    let mut world = World::new();
    let mut refusal = |file: &[u8]| {
        let error = world.copy(file, vec![0, 1, 2]).unwrap_err();
        let (sqlstate, message, detail) = facts(&error);
        (sqlstate.to_owned(), message.to_owned(), detail.to_owned())
    };
    let expect = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(
        refusal(b"1,a,b\n2,a"),
        expect(
            "22P04",
            "missing data for column \"note\"",
            "COPY t, line 2"
        )
    );
    assert_eq!(
        refusal(b"1,a,b,c\n"),
        expect(
            "22P04",
            "extra data after last expected column",
            "COPY t, line 1"
        )
    );
    assert_eq!(
        refusal(b"1,a,b\nx,a,b\n"),
        expect(
            "22P02",
            "invalid input syntax for type bigint: \"x\"",
            "COPY t, line 2, column id: \"x\""
        )
    );
    assert_eq!(
        refusal(b"1,\xff,b\n"),
        expect(
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0xff",
            "COPY t, line 1, column name: \"\u{fffd}\""
        )
    );
    assert_eq!(
        refusal(b"1,,b\n"),
        expect(
            "23502",
            "null value in column \"name\" of relation \"t\" violates not-null constraint",
            "Failing row contains (1, null, b).\nCOPY t, line 1"
        )
    );
    assert!(world.rows().is_empty());
}

/// What wants nothing of the rows but a few numbers of plain columns is folded in storage.
#[test]
fn aggregates_of_columns_are_folded_and_others_are_not() {
    let world = World::peopled();
    let call = |name: &str, types: &[Option<DataType>], arguments: Vec<Expr>| {
        let found = crate::function::aggregate::resolve(name, types).expect("its types");
        let found = found.expect("an aggregate");
        AggregateCall {
            aggregate: Callable::System(found.aggregate),
            arguments,
            distinct: false,
            filter: None,
            order: Vec::new(),
            data_type: found.types.returns,
        }
    };
    let sum = || call("sum", &[Some(BIGINT)], vec![column(0)]);
    let folds =
        |input: &PhysicalPlan, calls: &[AggregateCall]| Fold::new(&input.node, calls).is_some();
    let all = world.scan(false, None);
    assert!(folds(&all, &[]) && folds(&all, &[call("count", &[], vec![]), sum()]));
    let distinct = AggregateCall {
        distinct: true,
        ..sum()
    };
    let filtered = AggregateCall {
        filter: Some(Expr::literal(Value::Boolean(true), DataType::Boolean)),
        ..sum()
    };
    let computed = vec![super::call("+", vec![column(0), number(1)])];
    let of_expression = call("sum", &[Some(BIGINT)], computed);
    for call in [distinct, filtered, of_expression] {
        assert!(!folds(&all, &[call]));
    }
    let row_ids = world.scan(true, None);
    assert!(!folds(
        &row_ids,
        &[call("sum", &[Some(BIGINT)], vec![column(3)])]
    ));
    let some = world.scan(
        false,
        Some(Expr::literal(Value::Boolean(true), DataType::Boolean)),
    );
    assert!(!folds(&some, &[sum()]));

    let plan = PhysicalPlan {
        node: Node::Aggregate {
            input: Box::new(all),
            groups: vec![],
            aggregates: vec![call("count", &[], vec![]), sum()],
            sets: None,
            in_order: false,
        },
        schema: schema(&[BIGINT, DataType::Numeric(None)]),
    };
    let rows = world.rows();
    let ids = rows.iter().map(|row| match row[0] {
        Value::BigInt(id) => i128::from(id),
        _ => panic!("an id"),
    });
    let sum = remora_storage::Numeric::new(ids.sum(), 0).expect("a small sum");
    let expected = [big(rows.len() as i64), Value::Numeric(sum)];
    let of_batches = world.query(&plan);
    assert_eq!(of_batches.concat(), expected, "as a source of batches");
    let mut row = Vec::new();
    assert!(fold_row(&plan, &world.tx, &world.context, &mut row).unwrap());
    assert_eq!(row, expected, "as a row");
    let all = world.scan(false, None);
    assert!(!fold_row(&all, &world.tx, &world.context, &mut row).unwrap());
}
