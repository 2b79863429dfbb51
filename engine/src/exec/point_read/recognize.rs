//! Which queries are such reads.

use super::key_part::KeyPart;
use super::{Also, Keys, PointRead};
use crate::function::aggregate::host::Callable;
use crate::plan::lock::{LockStrength, LockWait, RowLock};
use crate::plan::physical::{IndexKeys, IndexScan, KeyEnd, Node, PhysicalPlan};
use crate::plan::statement::{Lookup, PointSelect};
use crate::plan::{Expr, ExprKind};
use remora_storage::transaction::{Columns, KeyRead, ROWS_MAX};
use remora_storage::{ColumnId, DataType};
use std::ops::Bound;

/// Columns of several rows: nobody accounts for their places.
const COLUMNS_MAX: usize = 64;

impl PointRead {
    /// The read that a point select is, if it is nothing else; its statement has parameters of these types.
    pub(crate) fn of_point(select: &PointSelect, parameters: &[DataType]) -> Option<Self> {
        let lookup = &select.lookup;
        let moment = match &lookup.filter {
            None => None,
            Some(filter) => Some(expiry(filter, lookup)?),
        };
        let columns = lookup.table.def.columns.iter().map(|column| column.id);
        let mut shown = shown(&select.exprs, &columns.collect::<Vec<_>>())?;
        let place = shown.len();
        shown.extend(moment);
        Some(Self {
            keys: Keys::One(parts(&lookup.key)?),
            counts: false,
            also: match moment {
                None => Also::Nothing,
                Some(_) => Also::Expiry(place),
            },
            read: KeyRead::new(&lookup.table, &lookup.index, &shown, lookup.columns),
            parameters: parameters.into(),
        })
    }

    /// The read that a point select is whose row is locked, if it is nothing else.
    pub(crate) fn of_lock(
        select: &PointSelect,
        lock: &RowLock,
        parameters: &[DataType],
    ) -> Option<Self> {
        let is_lock = matches!(
            lock.strength,
            LockStrength::Update | LockStrength::NoKeyUpdate
        );
        let is_simple = is_lock && lock.wait != LockWait::Skip && select.lookup.index.def.unique;
        let read = Self::of_point(select, parameters).filter(|_| is_simple)?;
        let also = match read.also {
            Also::Expiry(place) => Also::LockAndExpiry(place),
            _ => Also::Lock,
        };
        Some(Self { also, ..read })
    }

    /// The read that a query is, if it is nothing else.
    pub(crate) fn of_query(query: &PhysicalPlan, parameters: &[DataType]) -> Option<Self> {
        let (limit, plan) = match &query.node {
            Node::Limit {
                input,
                limit: Some(limit),
                offset: None,
            } => (Some(KeyPart::of(limit)?), &**input),
            _ => (None, query),
        };
        let (exprs, input) = match &plan.node {
            Node::Project { input, exprs } => (Some(exprs), &**input),
            _ => (None, plan),
        };
        let counted = counted(input).filter(|_| limit.is_none());
        let scan = counted.unwrap_or(input);
        let Node::IndexScan(scan) = &scan.node else {
            return None;
        };
        let rows = &scan.scan;
        let is_more =
            rows.filter.is_some() || rows.row_id || rows.skips_locked || scan.read_max.is_some();
        if is_more {
            return None;
        }
        let shown = match (counted, exprs) {
            // The count is the only column that there is.
            (Some(_), Some(exprs)) if exprs.len() != 1 || !is_column(&exprs[0]) => return None,
            (Some(_), _) => Vec::new(),
            (None, Some(exprs)) => shown(exprs, &rows.columns)?,
            (None, None) => rows.columns.clone(),
        };
        if shown.len() > COLUMNS_MAX {
            return None;
        }
        let looked_at = Columns::of(rows.columns.iter().copied());
        Some(Self {
            keys: Keys::of(scan, limit)?,
            counts: counted.is_some(),
            also: Also::Nothing,
            read: KeyRead::new(&rows.table, &scan.index, &shown, looked_at),
            parameters: parameters.into(),
        })
    }
}

impl Keys {
    fn of(scan: &IndexScan, limit: Option<KeyPart>) -> Option<Self> {
        match &scan.keys {
            IndexKeys::Range { low, high } => Some(Self::Between {
                low: end(low)?,
                high: end(high)?,
                reverse: scan.reverse,
                limit,
            }),
            IndexKeys::Points(keys) if keys.len() > ROWS_MAX => None,
            IndexKeys::Points(keys) if limit.is_none() && !scan.reverse => {
                let key = |key: &Vec<Expr>| match key.as_slice() {
                    [value] => KeyPart::of(value),
                    _ => None,
                };
                Some(Self::Each(keys.iter().map(key).collect::<Option<_>>()?))
            }
            IndexKeys::Elements(array) if limit.is_none() && !scan.reverse => {
                Some(Self::Elements(KeyPart::of(array)?))
            }
            IndexKeys::Points(_) | IndexKeys::Elements(_) | IndexKeys::Prefix(_) => None,
        }
    }
}

/// The column that says when rows expire, where a look-up by a unique key asks for nothing else than that this is to come,
/// or NULL: never.
fn expiry(filter: &Expr, lookup: &Lookup) -> Option<ColumnId> {
    let table = &lookup.table.def;
    let column = table.expiry.as_ref()?.column;
    let is_moment =
        |expr: &Expr| matches!(expr.kind, ExprKind::Column(at) if table.columns[at].id == column);
    let is_never =
        |expr: &Expr| matches!(&expr.kind, ExprKind::IsNull(moment) if is_moment(moment));
    let later = match &filter.kind {
        ExprKind::Or(tests) => match tests.as_slice() {
            [never, later] if is_never(never) => later,
            _ => return None,
        },
        _ => filter,
    };
    let ExprKind::Call {
        overload,
        arguments,
    } = &later.kind
    else {
        return None;
    };
    let ([moment, now], ">") = (arguments.as_slice(), overload.name) else {
        return None;
    };
    let is_now = matches!(&now.kind, ExprKind::Call { overload, .. } if overload.name == "now");
    (is_now && is_moment(moment) && lookup.index.def.unique).then_some(column)
}

/// The input of a plan that counts its rows and does nothing else.
fn counted(plan: &PhysicalPlan) -> Option<&PhysicalPlan> {
    let Node::Aggregate {
        input,
        groups,
        aggregates,
        sets: None,
        ..
    } = &plan.node
    else {
        return None;
    };
    let [call] = aggregates.as_slice() else {
        return None;
    };
    let is_count = matches!(&call.aggregate, Callable::System(found) if found.name == "count");
    let of_rows = call.arguments.is_empty() && call.filter.is_none();
    (groups.is_empty() && is_count && of_rows).then_some(&**input)
}

/// The columns that expressions are, by their positions among `columns`.
fn shown(exprs: &[Expr], columns: &[ColumnId]) -> Option<Vec<ColumnId>> {
    let column = |expr: &Expr| match expr.kind {
        ExprKind::Column(position) => Some(columns[position]),
        _ => None,
    };
    exprs.iter().map(column).collect()
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Column(_))
}

fn parts(values: &[Expr]) -> Option<Box<[KeyPart]>> {
    values.iter().map(KeyPart::of).collect()
}

fn end(end: &KeyEnd) -> Option<Bound<Box<[KeyPart]>>> {
    Some(match end {
        KeyEnd::Open => Bound::Unbounded,
        KeyEnd::Included(values) => Bound::Included(parts(values)?),
        KeyEnd::Excluded(values) => Bound::Excluded(parts(values)?),
        KeyEnd::Nulls(values) => Bound::Excluded(and_nulls(values)?),
        KeyEnd::Null(values) => Bound::Included(and_nulls(values)?),
    })
}

fn and_nulls(values: &[Expr]) -> Option<Box<[KeyPart]>> {
    let values = values.iter().map(KeyPart::of);
    values.chain([Some(KeyPart::Nulls)]).collect()
}
