//! A statement with its plan, and one call of it.
//!
//! A plan is made for one catalog and one search path, and both are immutable: whether it is made for those of the
//! moment is a comparison of pointers. (The statement keeps both alive, so the addresses cannot come again.) When
//! somebody has changed a definition, its names are resolved again, and if they mean the same it is good for the new
//! catalog as well ([`Resolved`](crate::plan::resolved::Resolved)). When a table has ten times as many rows as it was made
//! for, or a tenth, it is made anew.

use crate::activity::SessionRecord;
use crate::bind::Arguments;
use crate::error::{Error, Result, state};
use crate::exec::{PointRead, arrow_schema};
use crate::function::{SearchPath, TypesShown};
use crate::optimize::{self, Effort};
use crate::parse::{Parsed, PreparedSyntax, Syntax};

use crate::plan::cursor::Declare;
use crate::plan::statement::{InsertSource, Planned, Target};
use crate::plan::structure::Step;
use crate::plan::{Field, Statement};
use arrow_schema::SchemaRef;
use remora_storage::DataType;
use remora_storage::catalog::{Catalog, TableEntry};
use remora_storage::value::with_type_names;
use std::sync::{Arc, OnceLock};

/// Rows of a table that is small, whatever it has.
const ROWS_MIN: u64 = 512;
/// How many times as many rows call for another plan.
const GROWTH_MAX: u64 = 10;
/// Uses of a plan between two looks at the sizes of its tables.
const USES_BETWEEN: u32 = 16;

/// A plan, and what it was made for.
#[derive(Debug)]
pub(in crate::session) struct Plan {
    pub(in crate::session) planned: Planned,
    /// Where the statement is one look-up and nothing else.
    pub(in crate::session) point: Option<PointRead>,
    /// Names and types of the columns it gives; `None` where it gives no rows.
    pub(in crate::session) columns: Option<Arc<[Field]>>,
    /// The same as Arrow has them.
    pub(in crate::session) arrow: SchemaRef,
    /// The tables whose sizes it was made for, and these.
    sizes: Box<[(Arc<TableEntry>, u64)]>,
    effort: Effort,
}

impl Plan {
    /// Whether a table has become so large, or so small, that another plan may be better.
    fn is_outgrown(&self) -> bool {
        self.sizes.iter().any(|(table, before)| {
            let now = table.rows.about_rows().max(ROWS_MIN);
            let before = (*before).max(ROWS_MIN);
            now / GROWTH_MAX >= before || before / GROWTH_MAX >= now
        })
    }
}

/// What names mean to a statement: what there is, and where it is looked for; and what is done for its plan.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Names<'n> {
    pub(in crate::session) catalog: &'n Arc<Catalog>,
    pub(in crate::session) path: &'n Arc<SearchPath>,
    pub(in crate::session) effort: Effort,
}

/// What is known of the types of parameters before the statement is bound.
#[derive(Debug)]
enum Types {
    /// Nothing.
    Inferred,
    /// Those of the literals that they stand for, as far as these have one.
    Literals(Box<[Option<DataType>]>),
    /// What PREPARE has said.
    Declared(Box<[DataType]>),
}

/// The syntax that a statement is planned from.
#[derive(Debug)]
struct Source {
    parsed: Arc<Parsed>,
    /// The types that its parameters are said to have.
    types: Types,
}

/// A statement with its plan. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::session) struct Prepared {
    source: Arc<Source>,
    pub(in crate::session) plan: Arc<Plan>,
    /// The catalog and the path that the plan is good for.
    catalog: Arc<Catalog>,
    path: Arc<SearchPath>,
    /// How often it was run, or found in a cache.
    uses: u32,
    /// What they are, where an EXECUTE has said so.
    pub(in crate::session) arguments: Option<Arc<Arguments>>,
    /// The cursor that it is the query of.
    pub(in crate::session) declare: Option<Arc<Declare>>,
    /// Its number within the session.
    number: u32,
    /// The columns of the plan, to be handed out by this session: a count that all sessions share is waited for.
    own_columns: OnceLock<Arc<[Field]>>,
}

impl Prepared {
    /// Plans a parsed statement, the session's `number`th.
    pub(in crate::session) fn new(parsed: Parsed, names: Names<'_>, number: u32) -> Result<Self> {
        Self::of(Arc::new(parsed), names, None, number)
    }

    /// Plans the query that a cursor is declared for.
    pub(in crate::session) fn declaring(
        query: &Parsed,
        declare: Declare,
        names: Names<'_>,
        number: u32,
    ) -> Result<Self> {
        let query = Arc::new(query.clone());
        Self::of(query, names, Some(Arc::new(declare)), number)
    }

    fn of(
        parsed: Arc<Parsed>,
        names: Names<'_>,
        declare: Option<Arc<Declare>>,
        number: u32,
    ) -> Result<Self> {
        let plan = plan(&parsed, names, &[], declare.is_none())?;
        let types = Types::Inferred;
        let prepared = Self::made(Source { parsed, types }, plan, names, number);
        Ok(Self {
            declare,
            ..prepared
        })
    }

    fn made(source: Source, plan: Arc<Plan>, names: Names<'_>, number: u32) -> Self {
        Self {
            source: Arc::new(source),
            plan,
            catalog: Arc::clone(names.catalog),
            path: Arc::clone(names.path),
            uses: 0,
            arguments: None,
            declare: None,
            number,
            own_columns: OnceLock::new(),
        }
    }

    /// Plans a statement whose parameters stand for literals of these types.
    pub(in crate::session) fn of_literals(
        parsed: Parsed,
        names: Names<'_>,
        types: Vec<Option<DataType>>,
        number: u32,
    ) -> Result<Self> {
        let plan = plan(&parsed, names, &types, true)?;
        let source = Source {
            parsed: Arc::new(parsed),
            types: Types::Literals(types.into()),
        };
        Ok(Self::made(source, plan, names, number))
    }

    /// Whether its parameters stand for literals.
    pub(in crate::session) fn is_of_literals(&self) -> bool {
        matches!(self.source.types, Types::Literals(_))
    }

    /// Whether literals can stand for its parameters as they are, and no other plan could be much better for
    /// some of them: it finds its row by a key, or writes rows that it names.
    pub(in crate::session) fn is_template(&self) -> bool {
        let literals = match &self.source.types {
            Types::Literals(types) => types,
            _ => return false,
        };
        let mut parameters = self.plan.planned.parameters.iter().zip(literals.iter());
        let are_taken = parameters.all(|(planned, literal)| match literal {
            Some(literal) => planned == literal,
            None => matches!(planned, DataType::Text | DataType::Varchar(None)),
        });
        let Planned {
            statement, with, ..
        } = &self.plan.planned;
        are_taken
            && with.is_none()
            && match statement {
                Statement::PointSelect(_) | Statement::LockPoint(..) => true,
                Statement::Insert(insert) => matches!(insert.source, InsertSource::Values(_)),
                Statement::Update(update) => matches!(update.target, Target::Point(_)),
                Statement::Delete(delete) => matches!(delete.target, Target::Point(_)),
                _ => false,
            }
    }

    /// The same for a FETCH, which shows these columns.
    pub(in crate::session) fn showing(mut self, columns: &Arc<[Field]>) -> Self {
        if let Some(plan) = Arc::get_mut(&mut self.plan)
            && let Statement::Fetch(fetch) = &mut plan.planned.statement
        {
            fetch.schema = Some(columns.to_vec());
            plan.arrow = arrow_schema(columns);
            plan.columns = Some(Arc::clone(columns));
        }
        self
    }

    /// What is to be in the schema that it makes, and the schema's name.
    pub(in crate::session) fn schema_elements(&self) -> Option<(&[Arc<Parsed>], &str)> {
        let Syntax::CreateSchema(_, elements) = &self.source.parsed.syntax else {
            return None;
        };
        match &self.plan.planned.statement {
            Statement::Structure(steps) => match steps.as_slice() {
                [Step::CreateSchema(name)] => Some((elements, name)),
                _ => None,
            },
            _ => None,
        }
    }

    /// What it is called, where it runs outside of transaction blocks only.
    pub(in crate::session) fn runs_alone(&self) -> Option<&'static str> {
        self.source.parsed.alone
    }

    /// Its text.
    pub(in crate::session) fn text(&self) -> &Arc<str> {
        &self.source.parsed.text
    }

    /// Plans a statement of PREPARE, whose first parameters are said to be of these types.
    pub(in crate::session) fn of_types(
        parsed: Arc<Parsed>,
        names: Names<'_>,
        types: &[DataType],
    ) -> Result<Self> {
        let known: Vec<_> = types.iter().copied().map(Some).collect();
        let plan = plan(&parsed, names, &known, true)?;
        let types = Types::Declared(plan.planned.parameters.as_slice().into());
        Ok(Self::made(Source { parsed, types }, plan, names, 0))
    }

    /// The same for one run with these arguments.
    pub(in crate::session) fn with_arguments(&self, arguments: Arguments) -> Self {
        Self {
            arguments: Some(Arc::new(arguments)),
            ..self.clone()
        }
    }

    /// What it was parsed to, if it is about statements with names.
    pub(in crate::session) fn prepared_syntax(&self) -> Option<&PreparedSyntax> {
        match &self.source.parsed.syntax {
            Syntax::Prepared(syntax) => Some(syntax),
            _ => None,
        }
    }

    /// The columns that it gives.
    pub(in crate::session) fn own_columns(&self) -> Arc<[Field]> {
        let plan = || self.plan.columns.as_deref().unwrap_or_default().into();
        Arc::clone(self.own_columns.get_or_init(plan))
    }

    /// Tells others that it runs.
    #[inline]
    pub(in crate::session) fn begin(&self, record: &SessionRecord) {
        record.begin_statement(self.number, &self.source.parsed.text);
    }

    /// Makes the plan good for `names`; returns whether it had to be made anew.
    #[inline]
    pub(in crate::session) fn refresh(&mut self, names: Names<'_>) -> Result<bool> {
        if self.is_good_for(names) && !self.is_outgrown() {
            return Ok(false);
        }
        let types = match &self.source.types {
            Types::Inferred => Vec::new(),
            Types::Literals(types) => types.to_vec(),
            Types::Declared(types) => types.iter().copied().map(Some).collect(),
        };
        let anew = plan(&self.source.parsed, names, &types, self.declare.is_none())?;
        // Whoever uses a statement by its name relies on what it gives.
        let is_named = matches!(self.source.types, Types::Declared(_));
        if is_named && self.plan.columns != anew.columns {
            let message = "cached plan must not change result type";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_hint("DEALLOCATE the statement, and PREPARE it again."));
        }
        self.plan = anew;
        self.own_columns = OnceLock::new();
        self.catalog = Arc::clone(names.catalog);
        self.path = Arc::clone(names.path);
        Ok(true)
    }

    /// The catalog that the plan is good for.
    #[inline]
    pub(in crate::session) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Whether the plan is as good as any for the catalog that it was made for.
    #[inline]
    pub(in crate::session) fn is_current(
        &mut self,
        path: &Arc<SearchPath>,
        effort: Effort,
    ) -> bool {
        Arc::ptr_eq(&self.path, path) && self.plan.effort == effort && !self.is_outgrown()
    }

    /// Whether the plan is good for `names`.
    #[inline]
    pub(in crate::session) fn is_good_for(&mut self, names: Names<'_>) -> bool {
        let is_alike = Arc::ptr_eq(&self.path, names.path) && self.plan.effort == names.effort;
        is_alike && (Arc::ptr_eq(&self.catalog, names.catalog) || self.carry_over(names))
    }

    /// Whether other sessions may use the plan.
    pub(in crate::session) fn can_be_adopted(&self) -> bool {
        let is_of_text = self.arguments.is_none() && self.declare.is_none();
        is_of_text && self.plan.planned.resolved.is_some()
    }

    /// The statement for another session, its `number`th, where its names mean the same.
    pub(in crate::session) fn adopted(&self, names: Names<'_>, number: u32) -> Option<Self> {
        let is_alike = self.plan.effort == names.effort && self.path.is_like(names.path);
        let resolved = self.plan.planned.resolved.as_ref()?;
        let is_good = is_alike
            && resolved.mean_the_same(&self.catalog, names.catalog, names.path)
            && !self.plan.is_outgrown();
        is_good.then(|| Self {
            catalog: Arc::clone(names.catalog),
            path: Arc::clone(names.path),
            uses: 0,
            number,
            own_columns: OnceLock::new(),
            ..self.clone()
        })
    }

    /// Makes the plan good for another catalog; false where that cannot be.
    pub(in crate::session) fn follow(&mut self, catalog: &Arc<Catalog>) -> bool {
        let path = Arc::clone(&self.path);
        self.is_good_for(Names {
            catalog,
            path: &path,
            effort: self.plan.effort,
        })
    }

    /// Makes the plan good for another catalog in which its names mean the same; false where they do not.
    #[cold]
    fn carry_over(&mut self, names: Names<'_>) -> bool {
        let resolved = self.plan.planned.resolved.as_ref();
        let is_same = resolved.is_some_and(|resolved| {
            resolved.mean_the_same(&self.catalog, names.catalog, names.path)
        });
        if is_same {
            self.catalog = Arc::clone(names.catalog);
        }
        is_same
    }

    /// Whether another plan may be better by now: asked at each use, and looked at now and then.
    #[inline]
    pub(in crate::session) fn is_outgrown(&mut self) -> bool {
        if self.plan.sizes.is_empty() {
            return false;
        }
        self.uses = self.uses.wrapping_add(1);
        self.uses.is_multiple_of(USES_BETWEEN) && self.plan.is_outgrown()
    }

    /// The catalog, path and effort that the plan is good for.
    pub(in crate::session) fn names(&self) -> Names<'_> {
        Names {
            catalog: &self.catalog,
            path: &self.path,
            effort: self.plan.effort,
        }
    }
}

/// `types` are those of the first parameters, as far as they are known. Rows that are not `shown` are kept for a
/// cursor.
fn plan(
    parsed: &Parsed,
    names: Names<'_>,
    types: &[Option<DataType>],
    shown: bool,
) -> Result<Arc<Plan>> {
    let mut known = types.to_vec();
    known.resize(parsed.parameters.max(types.len()), None);
    let planned = with_type_names(TypesShown::along(names.catalog, Some(names.path)), || {
        optimize::plan(parsed, names.catalog, names.path, &known, names.effort)
    })?;
    let columns: Option<Arc<[Field]>> = planned.statement.schema().map(Into::into);
    let size = |table: &Arc<TableEntry>| (Arc::clone(table), table.rows.about_rows());
    let sizes = planned.sized_tables().into_iter().map(size).collect();
    Ok(Arc::new(Plan {
        arrow: arrow_schema(columns.as_deref().unwrap_or_default()),
        columns: columns.filter(|_| shown),
        point: match &planned.statement {
            _ if !shown || planned.with.is_some() || !names.effort.includes("point_reads") => None,
            Statement::PointSelect(select) => PointRead::of_point(select, &planned.parameters),
            Statement::LockPoint(select, lock) => {
                PointRead::of_lock(select, lock, &planned.parameters)
            }
            Statement::Query(query) => PointRead::of_query(query, &planned.parameters),
            _ => None,
        },
        planned,
        sizes,
        effort: names.effort,
    }))
}
