//! SEARCH and CYCLE: the order of a recursion's rows, and its circles, as columns that the rows carry along.
//!
//! ```text
//!                       first rows                next rows, of the row s they come from
//!   DEPTH FIRST BY a    ARRAY[ROW(a)]             s.sequence || ROW(a)
//!   BREADTH FIRST BY a  ROW(0, a)                 ROW((s.sequence).f1 + 1, a)
//!   CYCLE: the mark     default                   CASE WHEN ROW(a) = ANY (s.path) THEN value ELSE default END
//!          the path     ARRAY[ROW(a)]             s.path || ROW(a)
//! ```
//!
//! 1. What the first part gives gets these columns ([`Binder::begin`]).
//! 2. They are columns of the working table, which can be named but are no part of `*`. The SELECT of the next part
//!    shows them beside its own ([`Binder::carried_columns`]).
//! 3. What that gives is computed over ([`Binder::carry_on`]); rows that close a circle lead no further.

use super::array::of_element;
use super::coerce::check_equality;
use super::query::{Output, Relation};
use super::scope::Scope;
use super::select::filter;
use super::with::With;
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{Cycle, Search, Traversal};
use crate::plan::Expr;
use crate::plan::logical::Logical;
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, SetExpr};

/// What the rows of a recursion carry along.
#[derive(Default)]
pub(super) struct Carried {
    search: Option<Sequence>,
    cycle: Option<Circle>,
}

/// The order of rows.
struct Sequence {
    is_breadth: bool,
    /// Positions of the columns that it is by.
    by: Vec<usize>,
    name: String,
}

/// Whether a row has come before on its path.
struct Circle {
    by: Vec<usize>,
    mark: String,
    value: Expr,
    default: Expr,
    path: String,
}

/// The columns of a query that says how it is traversed.
struct Names<'n> {
    there: &'n [String],
    at: Option<Position>,
}

impl Names<'_> {
    /// The positions of columns by their names.
    fn positions(&self, what: &str, columns: &[ast::Ident]) -> Result<Vec<usize>> {
        let mut found = Vec::with_capacity(columns.len());
        for column in columns {
            let name = name::fold(column)?;
            let position = self.there.iter().position(|there| *there == name);
            let Some(position) = position else {
                let what = format!("{what} column \"{name}\" not in WITH query column list");
                return Err(self.refused(&what));
            };
            if found.contains(&position) {
                let message = format!("{what} column \"{name}\" specified more than once");
                return Err(Error::new(state::DUPLICATE_COLUMN, message).at(self.at));
            }
            found.push(position);
        }
        Ok(found)
    }

    /// The name of a column that comes.
    fn fresh(&self, what: &str, ident: &ast::Ident) -> Result<String> {
        let name = name::fold(ident)?;
        if self.there.contains(&name) {
            let message =
                format!("{what} column name \"{name}\" already used in WITH query column list");
            return Err(self.refused(&message));
        }
        Ok(name)
    }

    fn refused(&self, message: &str) -> Error {
        Error::new(state::SYNTAX_ERROR, message).at(self.at)
    }
}

impl Circle {
    /// The mark of a row that closes a circle where this is so.
    fn marked(&self, closes: Expr) -> Expr {
        Expr::case(
            vec![(closes, self.value.clone())],
            self.default.clone(),
            self.default.data_type,
        )
    }
}

impl Carried {
    /// How many columns that are.
    fn width(&self) -> usize {
        usize::from(self.search.is_some()) + 2 * usize::from(self.cycle.is_some())
    }

    /// Fails where two of its columns have one name.
    fn check(&self, names: &Names<'_>) -> Result<()> {
        let same = |one: &str, two: &str| {
            let message = format!("{one} column name and {two} column name are the same");
            Err(names.refused(&message))
        };
        let Some(cycle) = &self.cycle else {
            return Ok(());
        };
        if cycle.mark == cycle.path {
            return same("cycle mark", "cycle path");
        }
        match &self.search {
            Some(search) if search.name == cycle.mark => same("search sequence", "cycle mark"),
            Some(search) if search.name == cycle.path => same("search sequence", "cycle path"),
            _ => Ok(()),
        }
    }
}

/// The SELECT that a part of a recursion is, in brackets or not; `None` where it is a set operation.
pub(super) fn leaf(part: &SetExpr) -> Option<&SetExpr> {
    match part {
        SetExpr::SetOperation { .. } => None,
        SetExpr::Query(query) => leaf(&query.body),
        other => Some(other),
    }
}

/// 42601: what says how it is traversed names itself nowhere.
pub(super) fn refuse_traversal(with: With<'_>) -> Result<()> {
    match with.is_traversed() {
        false => Ok(()),
        true => Err(sql_error!(SYNTAX_ERROR, "WITH query is not recursive").at(with.place())),
    }
}

/// Refuses a side of the UNION that is a set operation itself, where it is said how the query is traversed.
///
/// # Errors
/// 0A000 of the left side and 42601 of the right one, as in PostgreSQL.
pub(super) fn check_sides(with: With<'_>, left: &SetExpr, right: &SetExpr) -> Result<()> {
    let sides = [
        (left, "left", state::FEATURE_NOT_SUPPORTED),
        (right, "right", state::SYNTAX_ERROR),
    ];
    let found = sides.into_iter().find(|(part, ..)| leaf(part).is_none());
    match found.filter(|_| with.is_traversed()) {
        None => Ok(()),
        Some((_, side, code)) => {
            let message = format!(
                "with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT"
            );
            Err(Error::new(code, message).at(with.place()))
        }
    }
}

impl<'a> Binder<'a> {
    /// What the rows of a query with these columns carry along.
    pub(super) fn carried(&self, with: With<'a>, columns: &[String]) -> Result<Carried> {
        let Some(Traversal { search, cycle }) = with.traversal()? else {
            return Ok(Carried::default());
        };
        let names = Names {
            there: columns,
            at: with.traversal_place(),
        };
        let search = search.map(|search| sequence(&search, &names));
        let cycle = cycle.map(|cycle| self.circle(&cycle, &names));
        let carried = Carried {
            search: search.transpose()?,
            cycle: cycle.transpose()?,
        };
        carried.check(&names)?;
        Ok(carried)
    }

    fn circle(&self, cycle: &Cycle, names: &Names<'_>) -> Result<Circle> {
        let (value, default) = match &cycle.values {
            None => (Expr::boolean(true), Expr::boolean(false)),
            Some((value, default)) => self.marks(value, default, names.at)?,
        };
        Ok(Circle {
            by: names.positions("cycle", &cycle.columns)?,
            mark: names.fresh("cycle mark", &cycle.mark)?,
            value,
            default,
            path: names.fresh("cycle path", &cycle.path)?,
        })
    }

    /// The values of a mark, of one type. They are constants.
    fn marks(
        &self,
        value: &ast::Expr,
        default: &ast::Expr,
        at: Option<Position>,
    ) -> Result<(Expr, Expr)> {
        let scope = Scope::default();
        let mut binder = Binder::new(self.catalog);
        binder.path = self.path;
        let mut cx = Context::new(&scope, Clause::Select);
        let value = binder.expr(value, &mut cx).map_err(|error| error.at(at))?;
        let default = (binder.expr(default, &mut cx)).map_err(|error| error.at(at))?;
        let (mut marks, data_type) = binder.unify(vec![value, default], "CYCLE", at)?;
        check_equality(data_type, at)?;
        match (marks.pop(), marks.pop()) {
            (Some(default), Some(value)) => Ok((value, default)),
            _ => Err(Error::internal("a mark without values").at(at)),
        }
    }

    /// The first rows, with what they carry along.
    pub(super) fn begin(&mut self, first: Relation, carried: &Carried) -> Result<Relation> {
        if carried.width() == 0 {
            return Ok(first);
        }
        let mut added = Vec::new();
        if let Some(search) = &carried.search {
            let begins = Expr::literal(Value::BigInt(0), DataType::BigInt);
            let row = self.row_by(
                &first.outputs,
                &search.by,
                search.is_breadth.then_some(begins),
            );
            let sequence = match search.is_breadth {
                true => row?,
                false => self.path_of(row?)?,
            };
            added.push((search.name.clone(), sequence));
        }
        if let Some(cycle) = &carried.cycle {
            let row = self.row_by(&first.outputs, &cycle.by, None)?;
            added.push((cycle.mark.clone(), cycle.default.clone()));
            added.push((cycle.path.clone(), self.path_of(row)?));
        }
        Ok(self.joined(first, added))
    }

    /// The next rows, of which the last columns are what the rows before carried along.
    pub(super) fn carry_on(&mut self, mut next: Relation, carried: &Carried) -> Result<Relation> {
        if carried.width() == 0 {
            return Ok(next);
        }
        let own = next.outputs.len().saturating_sub(carried.width());
        let mut before = next.outputs.split_off(own).into_iter();
        let mut before = || {
            let column = |output: Output| Expr::column(output.column, output.data_type);
            let less = || Error::internal("a recursion carries less than it began with");
            before.next().map(column).ok_or_else(less)
        };
        let mut added = Vec::new();
        if let Some(search) = &carried.search {
            let sequence = before()?;
            let depth = (self.field_named(&sequence, "f1")).filter(|_| search.is_breadth);
            let depth = depth.map(|depth| self.deeper_by_one(depth)).transpose()?;
            let row = self.row_by(&next.outputs, &search.by, depth)?;
            let sequence = match search.is_breadth {
                true => row,
                false => self.appended(sequence, row)?,
            };
            added.push((search.name.clone(), sequence));
        }
        if let Some(cycle) = &carried.cycle {
            let (mark, path) = (before()?, before()?);
            let row = self.row_by(&next.outputs, &cycle.by, None)?;
            let sides = vec![Bound::Typed(mark), Bound::Typed(cycle.value.clone())];
            let goes_on = self.call("<>", sides, None)?;
            next.plan = filter(next.plan, self.settle(goes_on)?);
            let sides = vec![Bound::Typed(row.clone()), Bound::Typed(path.clone())];
            let closes = self.call("= ANY", sides, None)?;
            added.push((cycle.mark.clone(), cycle.marked(self.settle(closes)?)));
            added.push((cycle.path.clone(), self.appended(path, row)?));
        }
        Ok(self.joined(next, added))
    }

    /// The columns of the rows before that a SELECT shows, where it is the next part of a recursion that carries any.
    ///
    /// # Errors
    /// 0A000 where the recursion is named, but not in its FROM.
    pub(super) fn carried_columns(
        &self,
        select: &ast::Select,
        scope: &Scope,
    ) -> Result<Vec<(String, usize)>> {
        let Some((with, columns)) = self.carried_by(select) else {
            return Ok(Vec::new());
        };
        let there = |column: usize| scope.columns.iter().any(|found| found.column == column);
        match columns.iter().all(|(_, column)| there(*column)) {
            true => Ok(columns.to_vec()),
            false => {
                let name = with.name()?;
                let message = format!(
                    "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{name}\" \
                     must be at the top level of its right-hand SELECT"
                );
                Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(with.place()))
            }
        }
    }

    /// The columns of a relation, and more that are computed over them.
    fn joined(&mut self, relation: Relation, added: Vec<(String, Expr)>) -> Relation {
        let own = relation.outputs.into_iter();
        let own = own.map(|output| (output.name, Expr::column(output.column, output.data_type)));
        let (mut outputs, mut exprs) = (Vec::new(), Vec::new());
        for (name, expr) in own.chain(added) {
            let column = self.columns.add_for(&name, &expr);
            outputs.push(Output::new(column, name, expr.data_type));
            exprs.push((column, expr));
        }
        let input = Box::new(relation.plan);
        Relation::new(Logical::Project { input, exprs }, outputs)
    }

    /// `ROW(first, columns ..)`
    fn row_by(&mut self, outputs: &[Output], by: &[usize], first: Option<Expr>) -> Result<Expr> {
        let columns = by.iter().map(|position| {
            let output = &outputs[*position];
            Expr::column(output.column, output.data_type)
        });
        let values = first.into_iter().chain(columns).enumerate();
        let values = values.map(|(i, value)| (format!("f{}", i + 1), Bound::Typed(value)));
        self.record_of(values.collect(), None)
    }

    /// `ARRAY[row]`
    fn path_of(&mut self, row: Expr) -> Result<Expr> {
        let found = row.data_type;
        let path = self.call("array_of", vec![Bound::Typed(row)], None)?;
        self.settle(of_element(path, found))
    }

    /// `path || row`
    fn appended(&mut self, path: Expr, row: Expr) -> Result<Expr> {
        let data_type = path.data_type;
        let sides = vec![Bound::Typed(path), Bound::Typed(row)];
        let longer = self.call("array_append", sides, None)?;
        let longer = self.settle(longer)?;
        Ok(Expr {
            data_type,
            ..longer
        })
    }

    fn deeper_by_one(&mut self, depth: Expr) -> Result<Expr> {
        let one = Expr::literal(Value::BigInt(1), DataType::BigInt);
        let sum = self.call("+", vec![Bound::Typed(depth), Bound::Typed(one)], None)?;
        self.settle(sum)
    }
}

fn sequence(search: &Search, names: &Names<'_>) -> Result<Sequence> {
    Ok(Sequence {
        is_breadth: search.is_breadth,
        by: names.positions("search", &search.columns)?,
        name: names.fresh("search sequence", &search.sequence)?,
    })
}
