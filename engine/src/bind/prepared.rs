//! PREPARE, EXECUTE, DEALLOCATE. What a name stands for only the session knows.

use super::coerce::{cast, plain};
use super::expr::start;
use super::scope::Scope;
use super::statement::Tagged;
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Result, state};
use crate::function::SearchPath;
use crate::function::cast::{CastContext, cast_context};
use crate::parse::{Parsed, PreparedSyntax, Syntax, place, refuse};
use crate::plan::logical::LogicalStatement;
use crate::plan::{Expr, Statement};
use remora_storage::DataType;
use remora_storage::catalog::Catalog;
use sqlparser::ast;

impl Binder<'_> {
    /// PREPARE and DEALLOCATE.
    pub(super) fn prepared(&mut self, syntax: &PreparedSyntax) -> Result<Tagged> {
        let (statement, tag) = match syntax {
            PreparedSyntax::Prepare {
                name,
                types,
                statement,
            } => {
                check_kind(statement)?;
                let at = place(name.span);
                let types = types.iter().map(|found| self.data_type(found, at));
                let types = types.collect::<Result<_>>()?;
                (Statement::Prepare(name::fold(name)?, types), "PREPARE")
            }
            PreparedSyntax::Deallocate(None) => (Statement::Deallocate(None), "DEALLOCATE ALL"),
            PreparedSyntax::Deallocate(Some(name)) => {
                (Statement::Deallocate(Some(name::fold(name)?)), "DEALLOCATE")
            }
            PreparedSyntax::Execute { .. } => return refuse("EXECUTE here", None),
        };
        Ok((LogicalStatement::Done(statement), tag))
    }
}

/// Only queries and changes are prepared.
fn check_kind(statement: &Parsed) -> Result<()> {
    use ast::Statement as S;
    let Syntax::Statement(syntax) = &statement.syntax else {
        return refuse("PREPARE of this statement", None);
    };
    match &**syntax {
        S::Query(_) | S::Insert(_) | S::Update(_) | S::Delete(_) | S::Merge(_) => Ok(()),
        _ => refuse("PREPARE of this statement", None),
    }
}

/// The name that an EXECUTE says.
pub(crate) fn statement_name(name: &ast::ObjectName) -> Result<String> {
    name::single(name)
}

/// What EXECUTE gives a statement of that name for parameters of these types.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// One a parameter of the statement, without columns, of its type.
    pub(crate) exprs: Vec<Expr>,
    /// The types of EXECUTE's own parameters.
    pub(crate) parameters: Vec<DataType>,
}

/// Binds the arguments of an EXECUTE, `own` of whose parameters there are.
///
/// # Errors
/// 42601 where their number is wrong, 42804 where a type is.
pub(crate) fn bind_arguments(
    arguments: &[ast::Expr],
    (name, types): (&str, &[DataType]),
    own: usize,
    (catalog, path): (&Catalog, &SearchPath),
) -> Result<Arguments> {
    if arguments.len() != types.len() {
        let (wanted, found) = (types.len(), arguments.len());
        let message = format!("wrong number of parameters for prepared statement \"{name}\"");
        let detail = format!("Expected {wanted} parameters but got {found}.");
        return Err(Error::new(state::SYNTAX_ERROR, message).with_detail(detail));
    }
    let scope = Scope::default();
    let mut binder = Binder::new(catalog);
    binder.path = path;
    binder.parameters.resize(own, None);
    let mut cx = Context::new(&scope, Clause::Execute);
    let mut exprs = Vec::with_capacity(types.len());
    for (position, (syntax, to)) in arguments.iter().zip(types).enumerate() {
        let bound = binder.expr(syntax, &mut cx)?;
        exprs.push(match bound {
            Bound::Typed(expr) => given(expr, *to, position).map_err(|e| e.at(start(syntax)))?,
            unknown => binder.coerce(unknown, *to)?,
        });
    }
    if binder.needs.any() {
        return refuse(
            "taking numbers from a sequence in the arguments of EXECUTE",
            None,
        );
    }
    let parameters = binder.parameters.into_iter();
    Ok(Arguments {
        exprs,
        parameters: parameters
            .map(|found| found.unwrap_or(DataType::Text))
            .collect(),
    })
}

fn given(expr: Expr, to: DataType, position: usize) -> Result<Expr> {
    let from = expr.data_type;
    let fits = from == to
        || cast_context(from, to).is_some_and(|needed| needed <= CastContext::Assignment);
    if fits {
        return Ok(cast(expr, to, false));
    }
    let message = format!(
        "parameter ${} of type {} cannot be coerced to the expected type {}",
        position + 1,
        plain(from),
        plain(to)
    );
    Err(Error::new(state::DATATYPE_MISMATCH, message)
        .with_hint("You will need to rewrite or cast the expression."))
}
