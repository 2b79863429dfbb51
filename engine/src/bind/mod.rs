//! Binding: from a syntax tree to a logical plan in which every name is resolved, every type known
//! and every cast written out.
//!
//! 1. `FROM` makes a plan and a `scope::Scope` of what names mean in it (`from`).
//! 2. Expressions are bound in a scope (`expr` and the files beside it). A quoted literal, a NULL
//!    or a parameter has no type of its own until its surroundings give it one: that is
//!    `Bound::Unknown`, and `Binder::coerce` is where it ends.
//! 3. `select` puts the clauses of a query together, `group` replaces what is grouped by.
//! 4. `window` collects what is called over windows.
//! 5. `locking` says which rows a query locks.
//! 6. `subquery` binds queries within expressions, `around` says what these can name of the queries around them.
//!    `with_part` knows which queries of WITH are run once, `traversal` what the rows of a recursion carry along.
//! 7. `routine_call` puts the bodies of functions that are written in SQL in place of their calls.
//! 8. `trigger` binds what is said of triggers, and `trigger_rows` knows what their bodies can name.
//! 9. `array` binds what SQL writes of arrays.
//! 10. `insert`, `change`, `table`, `alter`, `rename`, `view`, `index`, `copy`, `routine`, `utility` bind the
//!     other statements.
//!
//! Errors have PostgreSQL's SQLSTATEs and words, and the place of the name or expression they are
//! about. PostgreSQL points at operators; here the place is where the expression begins.

mod aggregate;
mod alter;
mod alter_action;
mod alter_column;
mod alter_constraint;
mod altered;
mod around;
mod array;
mod assign;
mod case;
mod change;
mod check;
mod coerce;
mod collation;
mod comment;
mod composite;
mod computed_key;
mod conflict;
mod copy;
mod create_as;
mod cursor;
mod data_type;
mod deferral;
mod dependents;
mod distinct;
mod domain;
mod draft;
mod element;
mod expiry;
mod explain;
mod expr;
mod foreign;
mod from;
mod function;
mod generated;
mod group;
mod grouping_sets;
mod index;
mod insert;
mod instead;
mod join;
mod json;
mod json_record;
mod label;
mod like;
mod literal;
mod lock_table;
mod locking;
mod losses;
mod made_type;
mod materialized;
mod mention;
mod merge;
mod name;
mod operator;
mod order;
mod ordered_set;
mod polymorphic;
mod prepared;
mod query;
mod range_type;
mod record;
mod regclass;
mod relation;
mod rename;
mod returning;
mod routine;
mod routine_body;
mod routine_call;
mod routine_match;
mod routine_set;
mod row;
mod sample;
mod schema;
mod scope;
mod select;
mod sequence;
mod set_operation;
mod special_syntax;
mod statement;
mod storage_parameter;
mod subquery;
mod table;
mod table_function;
mod through;
mod traversal;
mod trigger;
mod trigger_rows;
mod truncate;
mod type_dependents;
mod updatable;
mod utility;
mod view;
mod window;
mod window_frame;
mod with;
mod with_part;

pub(crate) use check::{checks_of, default_of};
pub(crate) use cursor::declaration;
pub(crate) use dependents::depends_on;
pub(crate) use generated::generated_of;
pub(crate) use prepared::{Arguments, bind_arguments, statement_name};
pub(crate) use sequence::refuse_users;
pub(crate) use trigger::{BodyPart, bind_trigger};
pub(crate) use updatable::updatable_columns;
pub(crate) use with_part::{BoundPart, PartBody};

use crate::error::{Position, Result};
use crate::function::{Needs, SearchPath};
use crate::parse::{Aside, Clauses, Parsed, Subscripts, Syntax};
use crate::plan::lock::LockStrength;
use crate::plan::logical::{Columns, LogicalStatement};
use crate::plan::physical::AggregateCall;
use crate::plan::resolved::Resolved;
use crate::plan::{Expr, Statement};
use around::Level;
use remora_storage::catalog::{Catalog, ViewSource};
use remora_storage::{DataType, TableId};
use scope::Scope;
use sqlparser::ast;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use trigger_rows::TriggerRows;
use view::Record;
use with::{Recursion, With};
use with_part::Parts;

/// A bound statement and what belongs to it.
#[derive(Debug)]
pub(crate) struct BoundStatement {
    /// The statement.
    pub statement: LogicalStatement,
    /// Its parts, and queries that are no parts in the end: each reads only those before it. The place of one is its
    /// number.
    pub parts: Vec<BoundPart>,
    /// The parts that the statement itself reads.
    pub reads: BTreeSet<usize>,
    /// As in [`With`](crate::plan::with::With::counted).
    pub counted: Option<usize>,
    /// Its columns.
    pub columns: Columns,
    /// The types of its parameters.
    pub parameters: Vec<DataType>,
    /// PostgreSQL's command tag.
    pub tag: &'static str,
    /// Whether it asks for sequences.
    pub needs: Needs,
    /// Whether it can show what others have committed.
    pub shows_commits: bool,
    /// The resolved names, where the statement depends on nothing else of the catalog.
    pub resolved: Option<Resolved>,
}

/// Binds a statement against a catalog, in which names are looked up by `path`.
///
/// # Errors
/// 42xxx where names, types or grammar do not fit; 0A000 for what is not supported.
pub(crate) fn bind(
    parsed: &Parsed,
    catalog: &Catalog,
    path: &SearchPath,
    parameters: &[Option<DataType>],
) -> Result<BoundStatement> {
    bind_within(parsed, (catalog, path), parameters, None, &[])
}

/// The same for a statement of a trigger, which can name its rows; the columns of a query are wanted to be of
/// these types.
fn bind_within(
    parsed: &Parsed,
    (catalog, path): (&Catalog, &SearchPath),
    parameters: &[Option<DataType>],
    trigger: Option<&TriggerRows>,
    wanted: &[DataType],
) -> Result<BoundStatement> {
    let mut binder = Binder::new(catalog);
    binder.path = path;
    binder.trigger = trigger;
    binder.wanted = wanted;
    binder.parameters = parameters.to_vec();
    binder
        .parameters
        .resize(parsed.parameters.max(parameters.len()), None);
    binder.aside = &parsed.aside;
    let known = parsed.parameters.max(parameters.len());
    binder.columns.set_parameters(known);
    let (statement, tag) = match &parsed.syntax {
        Syntax::Checkpoint => (LogicalStatement::Done(Statement::Checkpoint), "CHECKPOINT"),
        Syntax::Compact(table) => (binder.compact(table.as_ref())?, "COMPACT"),
        Syntax::Sequence(syntax) => {
            let (statement, tag) = binder.sequence(syntax)?;
            (LogicalStatement::Done(statement), tag)
        }
        Syntax::CreateTableAs(create) => binder.create_table_as(create)?,
        Syntax::Prepared(syntax) => binder.prepared(syntax)?,
        Syntax::Upkeep(upkeep) => binder.upkeep(upkeep)?,
        Syntax::Cursor(syntax) => cursor::cursor(syntax)?,
        Syntax::CreateSchema(schema, elements) => binder.schema_with(schema, elements)?,
        Syntax::Reindex(reindex) => (binder.reindex(reindex)?, "REINDEX"),
        Syntax::CreateFunction(create) => {
            let statement = LogicalStatement::Done(binder.create_function(create)?);
            (statement, "CREATE FUNCTION")
        }
        Syntax::DropFunction(drop) => (binder.drop_functions(drop)?, "DROP FUNCTION"),
        Syntax::Type(syntax) => binder.type_statement(syntax)?,
        Syntax::Trigger(syntax) => {
            let (statement, tag) = binder.trigger(syntax)?;
            (LogicalStatement::Done(statement), tag)
        }
        Syntax::Refresh(refresh) => (binder.refresh(refresh)?, "REFRESH MATERIALIZED VIEW"),
        Syntax::SetSchema(syntax) => {
            let statement = binder.set_schema(syntax)?;
            (LogicalStatement::Done(statement), syntax.tag)
        }
        Syntax::SetParameters(syntax) => (binder.set_parameters(syntax)?, syntax.of.tag()),
        Syntax::SetConstraints(set) => {
            let statement = LogicalStatement::Done(binder.set_constraints(set)?);
            (statement, "SET CONSTRAINTS")
        }
        Syntax::AlterConstraint(alter) => {
            let statement = LogicalStatement::Done(binder.alter_constraint(alter)?);
            (statement, "ALTER TABLE")
        }
        Syntax::AlterView(alter) => (binder.alter_view(alter)?, "ALTER VIEW"),
        Syntax::Statement(syntax) => binder.statement(syntax)?,
    };
    let is_plain = binder.calls == 0 && !binder.needs.any() && binder.trigger.is_none();
    let types = binder.parameters.into_iter();
    Ok(BoundStatement {
        statement,
        parts: binder.parts.bound,
        reads: binder.parts.reads,
        counted: binder.parts.counted,
        columns: binder.columns,
        needs: binder.needs,
        shows_commits: binder.shows_commits || binder.needs.has(Needs::CATALOG),
        resolved: binder.resolved.into_inner().filter(|_| is_plain),
        // What nothing gave a type is text, as in PostgreSQL.
        parameters: types.map(|found| found.unwrap_or(DataType::Text)).collect(),
        tag,
    })
}

/// The state of binding one statement.
struct Binder<'a> {
    catalog: &'a Catalog,
    path: &'a SearchPath,
    columns: Columns,
    /// The types of parameters, as far as they are known.
    parameters: Vec<Option<DataType>>,
    /// WITH queries that can be named here, innermost last.
    with: Vec<(String, With<'a>)>,
    /// Those that have been named.
    with_named: Vec<With<'a>>,
    /// Those that are bound apart from the statement.
    parts: Parts,
    /// The query that is the statement, or that the statement is about.
    outermost: Option<&'a ast::Query>,
    /// Queries of WITH RECURSIVE that are being bound, innermost last.
    recursions: Vec<Recursion<'a>>,
    /// Whether the FROM that is being bound names such a query.
    names_itself: bool,
    /// The queries around the one that is being bound, the outermost first.
    around: Vec<Level>,
    /// The innermost of these whose columns names can mean.
    visible: Option<usize>,
    /// The same for what stands after LATERAL in the FROM that is being bound.
    lateral: Option<usize>,
    /// The strongest lock that the statement asks for.
    locks: Option<LockStrength>,
    /// What is asked of the SELECT that is bound next.
    requests: Vec<locking::Request>,
    /// What is asked of the tables of the FROM that is being bound.
    locking: Vec<locking::Request>,
    /// How deep the expression or query being bound is nested.
    depth: usize,
    /// What was taken out of the statement's text.
    aside: &'a Aside,
    /// Whether anything asks for sequences.
    needs: Needs,
    /// Whether anything can show what others have committed.
    shows_commits: bool,
    /// Items of FROM bound so far: WITH queries that name each other twice could double for ever.
    from_items: usize,
    /// The table whose primary key counts for nothing: whether a view needs it is being asked.
    keyless: Option<TableId>,
    /// What names stand for in the query of a view.
    names: Option<&'a [ViewSource]>,
    /// Where it is noted what names stand for in a query that becomes a view.
    record: Option<Record>,
    /// The functions whose bodies are being bound, the outermost first.
    routines: Vec<TableId>,
    /// What was named where nothing was put in place yet.
    mentions: RefCell<mention::Mentions>,
    /// The relation names resolved so far; `None` after a name that is not a table's.
    resolved: RefCell<Option<Resolved>>,
    /// In the body of a function: the columns of its parameters.
    body_parameters: Option<Vec<usize>>,
    /// Calls of functions in SQL so far, of all bodies together.
    calls: usize,
    /// How many of their bodies were bound.
    bodies: usize,
    /// Those that are nothing but an expression.
    plain: HashMap<TableId, routine_body::Plain>,
    /// Aliases in FROM of functions whose only column has a name of its own, and that name: the alias by itself is
    /// the column, too.
    values: Vec<(String, &'static str)>,
    /// In a trigger: what else can be named.
    trigger: Option<&'a TriggerRows>,
    /// The types that the columns of the statement are wanted to have, if it is a query.
    wanted: &'a [DataType],
}

/// Of a statement out of which nothing was taken.
static NOTHING_ASIDE: Aside = Aside {
    overriding: None,
    identities: Vec::new(),
    definition: Clauses {
        likes: Vec::new(),
        check_option: None,
        without_data: false,
    },
    subscripts: Subscripts::NONE,
};

/// Of what the catalog holds as text: names in it are said in full.
static PUBLIC_PATH: LazyLock<SearchPath> = LazyLock::new(SearchPath::default);

impl<'a> Binder<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            path: &PUBLIC_PATH,
            columns: Columns::default(),
            parameters: Vec::new(),
            with: Vec::new(),
            with_named: Vec::new(),
            parts: Parts::default(),
            outermost: None,
            recursions: Vec::new(),
            names_itself: false,
            around: Vec::new(),
            visible: None,
            lateral: None,
            locks: None,
            requests: Vec::new(),
            locking: Vec::new(),
            depth: 0,
            aside: &NOTHING_ASIDE,
            needs: Needs::NOTHING,
            shows_commits: false,
            from_items: 0,
            keyless: None,
            names: None,
            record: None,
            routines: Vec::new(),
            mentions: RefCell::default(),
            resolved: RefCell::new(Some(Resolved::default())),
            body_parameters: None,
            calls: 0,
            bodies: 0,
            plain: HashMap::new(),
            values: Vec::new(),
            trigger: None,
            wanted: &[],
        }
    }
}

/// Where an expression stands, as far as its binding depends on it.
struct Context<'s> {
    /// What names mean.
    scope: &'s Scope,
    /// The clause.
    clause: Clause,
    /// Aggregates found so far, by the column that stands for each; `None` where none may be.
    aggregates: Option<Vec<(usize, AggregateCall)>>,
    /// Whether the expression is an aggregate's argument.
    in_aggregate: bool,
    /// Windows and their calls found so far; `None` where none may be.
    windows: Option<window::Windows>,
    /// Where the expression stands among windows.
    in_window: Option<window::InWindow>,
    /// Where each column outside of aggregates was first named.
    places: HashMap<usize, Option<Position>>,
    /// Calls of table functions found so far.
    sets: Vec<table_function::SetCall>,
    /// Records found so far that are computed once for each row, however many of their fields are shown.
    records: Vec<(usize, Expr)>,
    /// Calls of `grouping` found so far.
    groupings: Vec<grouping_sets::GroupingCall>,
    /// Direct arguments of aggregates of ordered sets: they are the same for a group.
    direct: Vec<Expr>,
}

/// The clauses that complaints name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clause {
    Select,
    On,
    Where,
    GroupBy,
    Having,
    OrderBy,
    Limit,
    Offset,
    FrameRows,
    FrameRange,
    FrameGroups,
    Values,
    Update,
    Returning,
    MergeWhen,
    Default,
    Check,
    Generated,
    Index,
    IndexCondition,
    Using,
    Functions,
    Lateral,
    Execute,
    TriggerWhen,
}

impl Clause {
    fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::On => "JOIN conditions",
            Self::Where => "WHERE",
            Self::GroupBy => "GROUP BY",
            Self::Having => "HAVING",
            Self::OrderBy => "ORDER BY",
            Self::Limit => "LIMIT",
            Self::Offset => "OFFSET",
            Self::FrameRows => "window ROWS",
            Self::FrameRange => "window RANGE",
            Self::FrameGroups => "window GROUPS",
            Self::Values => "VALUES",
            Self::Update => "UPDATE",
            Self::Returning => "RETURNING",
            Self::MergeWhen => "MERGE WHEN conditions",
            Self::Default => "DEFAULT expressions",
            Self::Check => "check constraints",
            Self::Generated => "column generation expressions",
            Self::Index => "index expressions",
            Self::IndexCondition => "index predicates",
            Self::Using => "transform expressions",
            Self::Functions => "functions in FROM",
            Self::Lateral => "FROM clause of their own query level",
            Self::Execute => "EXECUTE parameters",
            Self::TriggerWhen => "trigger WHEN conditions",
        }
    }
}

impl<'s> Context<'s> {
    /// A place where aggregates may not be.
    fn new(scope: &'s Scope, clause: Clause) -> Self {
        Self {
            scope,
            clause,
            aggregates: None,
            in_aggregate: false,
            windows: None,
            in_window: None,
            places: HashMap::new(),
            sets: Vec::new(),
            records: Vec::new(),
            groupings: Vec::new(),
            direct: Vec::new(),
        }
    }

    /// A place where aggregates may be.
    fn with_aggregates(scope: &'s Scope, clause: Clause) -> Self {
        Self {
            aggregates: Some(Vec::new()),
            ..Self::new(scope, clause)
        }
    }
}

/// An expression as bound so far.
#[derive(Clone, Debug)]
enum Bound {
    /// One whose type is known.
    Typed(Expr),
    /// One that takes the type that its surroundings want.
    Unknown(Unknown),
}

/// What has no type of its own.
#[derive(Clone, Debug)]
enum Unknown {
    /// NULL
    Null,
    /// A quoted literal, and where it is.
    Text(String, Option<Position>),
    /// A parameter of which nothing is known yet.
    Parameter(usize),
}

impl Bound {
    /// Its type, if it has one.
    fn data_type(&self) -> Option<DataType> {
        match self {
            Self::Typed(expr) => Some(expr.data_type),
            Self::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
