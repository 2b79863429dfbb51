//! WITH: queries with a name, and those that name themselves.
//!
//! A name stands for its query as often as it is named. A query that depends on nothing around it is bound once and run
//! once, if it is named more than once (`with_part`); any other one is bound again for each name. A query of WITH
//! RECURSIVE that names itself has the form `first UNION [ALL] next`: what `first` gives is bound once, and
//! in `next` the name stands for a working table with the columns of `first`. What PostgreSQL refuses within
//! `next` is refused: a second reference, aggregates beside it, the side of a join that may be filled up with
//! NULLs, EXCEPT.

use super::distinct::refuse_keyed_recursion;
use super::expr::query_start;
use super::from::Source;
use super::query::{Output, Relation};
use super::scope::{Scope, ScopeColumn};
use super::statement::changes;
use super::traversal::{check_sides, leaf, refuse_traversal};
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::common_type;
use crate::parse::{Traversal, given, place, traversal};
use crate::plan::collation::Derivation;
use crate::plan::logical::Logical;
use crate::plan::recursive::{Recursive, WorkingTable};
use remora_storage::DataType;
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier};

/// A query that can be named.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    name_of: &'a ast::Ident,
    cte: &'a ast::Cte,
    /// The clause that it is in.
    clause: &'a ast::With,
    /// How many of the queries that can be named here it can name itself.
    visible: usize,
    /// Whether the clause is that of the statement, and not of a query within.
    is_outermost: bool,
    /// The query around whose columns can be named where it is written.
    level: Option<usize>,
}

/// A query that is being bound and may name itself.
pub(super) struct Recursion<'a> {
    with: With<'a>,
    part: Part<'a>,
    /// How often it has named itself.
    references: usize,
}

/// Which part of it is being bound.
enum Part<'a> {
    /// What has no other part.
    Whole,
    First,
    Next(Working<'a>),
}

/// The rows of the round before, as the next part names them.
#[derive(Clone)]
struct Working<'a> {
    id: usize,
    columns: Vec<(String, DataType, Derivation)>,
    /// How many of these are part of `*`.
    listed: usize,
    /// The SELECT that shows the others.
    select: Option<&'a ast::Select>,
    /// The others' names and numbers, once they are named.
    carried: Vec<(String, usize)>,
}

impl<'a> With<'a> {
    /// Where it is in memory.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self.cte) as usize
    }

    pub(super) fn cte(&self) -> &'a ast::Cte {
        self.cte
    }

    pub(super) fn visible(&self) -> usize {
        self.visible
    }

    pub(super) fn is_outermost(&self) -> bool {
        self.is_outermost
    }

    /// Whether it changes rows.
    pub(super) fn changes(&self) -> bool {
        changes(&self.cte.query).is_some()
    }

    /// Fails where more columns are named than there are.
    pub(super) fn check_names(&self, there: usize) -> Result<()> {
        let given = given(&self.cte.alias.columns).len();
        if given <= there {
            return Ok(());
        }
        let name = self.name()?;
        let message = format!(
            "WITH query \"{name}\" has {there} columns available but {given} columns specified"
        );
        Err(Error::new(state::INVALID_COLUMN_REFERENCE, message).at(self.place()))
    }

    /// What is said of SEARCH and CYCLE.
    pub(super) fn traversal(&self) -> Result<Option<Traversal>> {
        traversal(self.cte)
    }

    /// Whether anything is.
    pub(super) fn is_traversed(&self) -> bool {
        let columns = &self.cte.alias.columns;
        given(columns).len() < columns.len()
    }

    /// Where that is said.
    pub(super) fn traversal_place(&self) -> Option<Position> {
        let first = self.cte.alias.columns.first();
        first.and_then(|column| place(column.name.span))
    }

    fn is(&self, other: &With<'_>) -> bool {
        std::ptr::eq(self.cte, other.cte)
    }

    pub(super) fn name(&self) -> Result<String> {
        name::fold(self.name_of)
    }

    pub(super) fn place(&self) -> Option<Position> {
        place(self.name_of.span)
    }
}

fn invalid(message: String) -> Error {
    Error::new(state::INVALID_RECURSION, message)
}

impl<'a> Binder<'a> {
    /// Makes the names of a WITH known.
    pub(super) fn with_queries(&mut self, query: &'a ast::Query) -> Result<()> {
        let Some(clause) = &query.with else {
            return Ok(());
        };
        let first = self.with.len();
        for cte in &clause.cte_tables {
            let with = With {
                name_of: &cte.alias.name,
                cte,
                clause,
                visible: match clause.recursive {
                    true => first + clause.cte_tables.len(),
                    false => self.with.len(),
                },
                is_outermost: (self.outermost)
                    .is_some_and(|outermost| std::ptr::eq(outermost, query)),
                level: self.visible,
            };
            let name = with.name()?;
            if self.with[first..].iter().any(|(found, _)| *found == name) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(Error::new(state::DUPLICATE_ALIAS, message).at(with.place()));
            }
            self.with.push((name, with));
        }
        Ok(())
    }

    /// Binds those queries of a WITH that nobody has named, so that what is wrong with them is told. Nothing runs
    /// them but what changes rows.
    pub(super) fn check_unnamed(&mut self, query: &'a ast::Query) -> Result<()> {
        let Some(clause) = &query.with else {
            return Ok(());
        };
        let first = self.with.len() - clause.cte_tables.len();
        for index in first..self.with.len() {
            let (name, with) = self.with[index].clone();
            if with.changes() {
                self.part_of(with)?;
            } else if !self.with_named.iter().any(|found| with.is(found)) {
                self.with_query(with, &name, None, None)?;
            }
        }
        Ok(())
    }

    /// What a WITH query stands for.
    pub(super) fn with_query(
        &mut self,
        with: With<'a>,
        shown: &str,
        at: Option<Position>,
        node: Option<&'a ast::ObjectName>,
    ) -> Result<Source> {
        if let Some(index) = self
            .recursions
            .iter()
            .position(|found| found.with.is(&with))
        {
            self.parts.names_recursion(index);
            return self.own_name(index, shown, at);
        }
        if !self.with_named.iter().any(|found| with.is(found)) {
            self.with_named.push(with);
        }
        if let Some(node) = node
            && let Some(source) = self.known_part(with, node, shown)?
        {
            return Ok(source);
        }
        // The query sees those WITH queries that came before it, whatever came after, and what could be named
        // where it is written.
        let mut inner = self.with[..with.visible].to_vec();
        std::mem::swap(&mut self.with, &mut inner);
        let around = std::mem::replace(&mut self.visible, with.level);
        let at = query_start(&with.cte.query);
        // A query within a query weighs twice: much lies on the stack between them.
        let relation = self.deeper(at, |binder| {
            binder.deeper(at, |binder| binder.first_named(with, node))
        });
        self.visible = around;
        self.with = inner;
        let relation = relation?;
        with.check_names(relation.outputs.len())?;
        self.derived(relation, shown, Some(&with.cte.alias))
    }

    /// A query that is named within itself.
    fn own_name(&mut self, index: usize, shown: &str, at: Option<Position>) -> Result<Source> {
        let with = self.recursions[index].with;
        let mut later = self.recursions[index + 1..].iter();
        if later.any(|other| std::ptr::eq(other.with.clause, with.clause)) {
            let message = "mutual recursion between WITH items is not implemented";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(with.place()));
        }
        let own = with.name()?;
        let recursion = &mut self.recursions[index];
        recursion.references += 1;
        let working = match &mut recursion.part {
            Part::Whole => return Err(invalid(form(&own)).at(with.place())),
            Part::First => {
                let message = format!(
                    "recursive reference to query \"{own}\" must not appear within its \
                     non-recursive term"
                );
                return Err(invalid(message).at(at));
            }
            Part::Next(_) if recursion.references > 1 => {
                let message = format!(
                    "recursive reference to query \"{own}\" must not appear more than once"
                );
                return Err(invalid(message).at(at));
            }
            Part::Next(working) => working,
        };
        let mut columns = Vec::with_capacity(working.columns.len());
        for (name, data_type, found) in &working.columns {
            let column = self.columns.add(name, *data_type);
            self.columns.collations.set(column, *found);
            columns.push(ScopeColumn::new(
                Some(shown.to_owned()),
                name.clone(),
                column,
                *data_type,
            ));
        }
        let carried = columns[working.listed..].iter();
        working.carried = carried
            .map(|column| (column.name.clone(), column.column))
            .collect();
        let unlisted = working.carried.iter().map(|(_, column)| *column).collect();
        let id = working.id;
        self.names_itself = true;
        let numbers = columns.iter().enumerate();
        let plan = Logical::WorkingTable(WorkingTable {
            id,
            columns: numbers.map(|(at, column)| (column.column, at)).collect(),
        });
        Ok(Source::new(
            plan,
            Scope {
                columns,
                tables: vec![(shown.to_owned(), None)],
                unlisted,
                ..Scope::default()
            },
        ))
    }

    /// The columns that a SELECT has to show, and of which query, where it is what follows in a recursion.
    pub(super) fn carried_by(
        &self,
        select: &ast::Select,
    ) -> Option<(With<'a>, &[(String, usize)])> {
        let recursion = self.recursions.last()?;
        match &recursion.part {
            Part::Next(working) if working.select.is_some_and(|it| std::ptr::eq(it, select)) => {
                Some((recursion.with, &working.carried))
            }
            _ => None,
        }
    }

    /// Its rows, where it changes none.
    pub(super) fn with_body(&mut self, with: With<'a>) -> Result<Relation> {
        match with.clause.recursive {
            true => self.maybe_recursive(with),
            false => {
                refuse_traversal(with)?;
                self.query_here(&with.cte.query, &[])
            }
        }
    }

    fn maybe_recursive(&mut self, with: With<'a>) -> Result<Relation> {
        let query = &*with.cte.query;
        let (left, right, distinct) = match &*query.body {
            SetExpr::SetOperation {
                op: SetOperator::Union,
                set_quantifier,
                left,
                right,
            } => match set_quantifier {
                SetQuantifier::All => (left, right, false),
                _ => (left, right, true),
            },
            _ => {
                let whole = self.part(with, Part::Whole, |binder| binder.query_here(query, &[]))?;
                refuse_traversal(with)?;
                return Ok(whole.0);
            }
        };
        let outer = self.with.len();
        self.with_queries(query)?;
        let first = self
            .part(with, Part::First, |binder| binder.set_expr(left, &[]))?
            .0;
        let types: Vec<_> = first
            .outputs
            .iter()
            .map(|output| output.data_type)
            .collect();
        let first = self.with_types(first, &types)?;
        let columns = self.working_columns(with, &first.outputs)?;
        let names: Vec<String> = columns.iter().map(|(name, ..)| name.clone()).collect();
        let carried = self.carried(with, &names)?;
        let first = self.begin(first, &carried)?;
        // Nobody has this column: only its number is of use.
        let id = self.columns.add("", DataType::Boolean);
        let added = first.outputs[columns.len()..].iter();
        let added = added.map(|output| {
            let found = self.columns.collations.of_column(output.column);
            (output.name.clone(), output.data_type, found)
        });
        let working = Working {
            id,
            listed: columns.len(),
            columns: columns.into_iter().chain(added).collect(),
            select: match leaf(right) {
                Some(SetExpr::Select(select)) => Some(select),
                _ => None,
            },
            carried: Vec::new(),
        };
        let types: Vec<_> = working.columns.iter().map(|(_, found, _)| *found).collect();
        let (next, references) = self.part(with, Part::Next(working), |binder| {
            binder.set_expr(right, &[])
        })?;
        self.with.truncate(outer);
        if references == 0 {
            refuse_traversal(with)?;
            return self.query(query, &[]);
        }
        check_sides(with, left, right)?;
        refuse_clauses(query)?;
        let next = self.fitting(with, next, &types)?;
        let next = self.carry_on(next, &carried)?;
        self.check_collations(with, &first, &next, distinct)?;
        Ok(self.rounds(id, first, next, distinct))
    }

    /// Binds a part of a query that may name itself, and tells how often it does.
    fn part(
        &mut self,
        with: With<'a>,
        part: Part<'a>,
        bind: impl FnOnce(&mut Self) -> Result<Relation>,
    ) -> Result<(Relation, usize)> {
        self.recursions.push(Recursion {
            with,
            part,
            references: 0,
        });
        let outside = std::mem::replace(&mut self.names_itself, false);
        let bound = bind(self);
        self.names_itself = outside;
        let references = self.recursions.pop().map_or(0, |found| found.references);
        Ok((bound?, references))
    }

    /// The columns of a working table.
    fn working_columns(
        &self,
        with: With<'a>,
        outputs: &[Output],
    ) -> Result<Vec<(String, DataType, Derivation)>> {
        with.check_names(outputs.len())?;
        let mut columns = Vec::with_capacity(outputs.len());
        for (at, output) in outputs.iter().enumerate() {
            let name = match given(&with.cte.alias.columns).get(at) {
                Some(column) => name::fold(&column.name)?,
                None => output.name.clone(),
            };
            let found = self.columns.collations.of_column(output.column);
            columns.push((name, output.data_type, found));
        }
        Ok(columns)
    }

    /// What the next rounds give, with the types of the first.
    fn fitting(&mut self, with: With<'a>, next: Relation, types: &[DataType]) -> Result<Relation> {
        if next.outputs.len() != types.len() {
            let message = "each UNION query must have the same number of columns";
            return Err(Error::new(state::SYNTAX_ERROR, message));
        }
        for (at, (output, first)) in next.outputs.iter().zip(types).enumerate() {
            let given = output.unknown.is_none().then_some(output.data_type);
            let overall = common_type(&[Some(*first), given], "UNION")?;
            if overall != *first {
                let (name, at) = (with.name()?, at + 1);
                let message = format!(
                    "recursive query \"{name}\" column {at} has type {first} in non-recursive term \
                     but type {overall} overall"
                );
                return Err(Error::new(state::DATATYPE_MISMATCH, message)
                    .with_hint("Cast the output of the non-recursive term to the correct type."));
            }
        }
        self.with_types(next, types)
    }

    /// All rounds give texts of one collation.
    ///
    /// # Errors
    /// 42P21; 0A000 where they would be compared by keys.
    fn check_collations(
        &self,
        with: With<'a>,
        first: &Relation,
        next: &Relation,
        distinct: bool,
    ) -> Result<()> {
        let of = |output: &Output| self.columns.collations.of_column(output.column);
        for (at, (one, other)) in first.outputs.iter().zip(&next.outputs).enumerate() {
            let (one, overall) = (of(one), of(one).and(of(other)));
            if distinct && self.has_key(overall, with.place())? {
                return Err(refuse_keyed_recursion().at(with.place()));
            }
            if one != overall {
                let (name, at) = (with.name()?, at + 1);
                let message = format!(
                    "recursive query \"{name}\" column {at} has another collation in non-recursive \
                     term than overall"
                );
                let hint = "Use the COLLATE clause to set the collation of the non-recursive term.";
                return Err(Error::new(state::COLLATION_MISMATCH, message).with_hint(hint));
            }
        }
        Ok(())
    }

    fn rounds(&mut self, id: usize, first: Relation, next: Relation, distinct: bool) -> Relation {
        let source = |relation: &Relation| {
            let outputs = relation.outputs.iter();
            outputs.map(|output| output.column).collect::<Vec<_>>()
        };
        let (base, step) = (source(&first), source(&next));
        let outputs = first.outputs.iter().map(|output| Output {
            column: (self.columns).add_like(&output.name, output.data_type, output.column),
            ..output.clone()
        });
        let outputs: Vec<_> = outputs.collect();
        Relation::new(
            Logical::Recursive(Recursive {
                id,
                base: (Box::new(first.plan), base),
                step: (Box::new(next.plan), step),
                distinct,
                columns: outputs.iter().map(|output| output.column).collect(),
            }),
            outputs,
        )
    }

    /// Refuses a plan that reads a working table of a query that is being bound.
    pub(super) fn refuse_own_name(&self, plan: &Logical, place: &str) -> Result<()> {
        for recursion in &self.recursions {
            let Part::Next(working) = &recursion.part else {
                continue;
            };
            if reads(plan, working.id) {
                let name = recursion.with.name()?;
                return Err(invalid(format!(
                    "recursive reference to query \"{name}\" must not appear within {place}"
                )));
            }
        }
        Ok(())
    }
}

fn form(name: &str) -> String {
    format!(
        "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] \
         recursive-term"
    )
}

fn refuse_clauses(query: &ast::Query) -> Result<()> {
    let (limit, offset) = match &query.limit_clause {
        Some(ast::LimitClause::LimitOffset { limit, offset, .. }) => {
            (limit.is_some(), offset.is_some())
        }
        other => (other.is_some(), false),
    };
    let clauses = [
        (query.order_by.is_some(), "ORDER BY"),
        (offset, "OFFSET"),
        (limit || query.fetch.is_some(), "LIMIT"),
        (!query.locks.is_empty(), "FOR UPDATE/SHARE"),
    ];
    match clauses.into_iter().find(|(there, _)| *there) {
        Some((_, clause)) => {
            let message = format!("{clause} in a recursive query is not implemented");
            Err(Error::new(state::FEATURE_NOT_SUPPORTED, message))
        }
        None => Ok(()),
    }
}

/// Whether a plan reads the working table of a recursion.
fn reads(plan: &Logical, id: usize) -> bool {
    plan.any(&mut |node| matches!(node, Logical::WorkingTable(table) if table.id == id))
}
