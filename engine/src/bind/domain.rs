//! Domains: a type and what must be true of its values.
//!
//! A value is one of its type and stays that. What the domain asks is asked where a value comes to be one of it:
//! in a cast, where the value is put into the conditions in place of `VALUE`, and of a column when it is written,
//! beside the CHECKs of its table. Of domains made of others, the conditions of the innermost come first.

use super::check::bind_default;
use super::routine_body::CALLS_MAX;
use super::scope::{Scope, ScopeColumn};
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::function;
use crate::parse::{AlterDomain, CreateDomain, parse_expression, place, refuse};
use crate::plan::logical::LogicalStatement;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::RowCheck;
use crate::plan::structure::{AlterTable, AlteredRows, Step, Tests};
use crate::plan::{Asks, Expr, ExprKind, Statement, Subquery};
use remora_storage::catalog::{Catalog, CheckDef, ColumnDef, DomainDef, TypeDef, TypeKind};
use remora_storage::{ColumnId, DataType, TypeId, Value};
use sqlparser::ast::{self, ColumnOption, ObjectName};
use std::collections::HashSet;
use std::sync::Arc;

/// How much deeper in the stack a condition is bound than the cast that asks for it.
const LEVELS: usize = 10;

/// Conditions may cast to domains themselves, whose conditions are bound within them: how deep it is, and how
/// many there were.
#[derive(Clone, Copy, Default)]
struct Reached {
    depth: usize,
    calls: usize,
}

/// Parts of a value that is written into each condition rather than computed beside them.
const SHORT: usize = 8;
/// The same where a subquery, which could compute it beside them, cannot be.
const BEARABLE: usize = 1_000;

/// The names of a domain's checks.
#[derive(Default)]
struct CheckNames {
    taken: HashSet<String>,
    /// The first number that was not tried yet.
    number: usize,
}

impl CheckNames {
    /// Returns `price_check`, with a number where that is taken.
    fn free(&mut self, domain: &str) -> String {
        loop {
            let name = match self.number {
                0 => format!("{domain}_check"),
                number => format!("{domain}_check{number}"),
            };
            self.number += 1;
            if !self.taken.contains(&name) {
                return name;
            }
        }
    }
}

impl<'a> Binder<'a> {
    /// The domain that a type's name is that of.
    pub(super) fn domain_of(&self, syntax: &ast::DataType) -> Result<Option<Arc<TypeDef>>> {
        match syntax {
            ast::DataType::Custom(name, modifiers) if modifiers.is_empty() => {
                let found = self.made_type(name)?;
                Ok(found.filter(|def| def.domain().is_some()))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn domain_there(&self, name: &ObjectName) -> Result<Arc<TypeDef>> {
        let def = self.type_there(name)?;
        if def.domain().is_some() {
            return Ok(def);
        }
        let message = format!("\"{}\" is not a domain", def.name);
        Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(name::object_place(name)))
    }

    /// A value as one of a domain, of whose type it is.
    ///
    /// # Errors
    /// 0A000 where a subquery would have to stand that cannot.
    pub(super) fn in_domain(
        &mut self,
        def: &TypeDef,
        value: Expr,
        at: Option<Position>,
        cx: &Context<'_>,
    ) -> Result<Expr> {
        let data_type = value.data_type;
        let column = self.columns.add_for("value", &value);
        let own = Expr::column(column, data_type);
        let mut reached = Reached {
            depth: self.depth,
            calls: self.calls,
        };
        let found = tested(self.catalog, def, (own.clone(), own), &mut reached);
        self.calls = reached.calls;
        let Some(tested) = found.map_err(|error| error.moved(at))? else {
            return Ok(value);
        };
        let refused = cx.clause.refuses_subqueries();
        let most = if refused.is_some() { BEARABLE } else { SHORT };
        let mut parts = 0;
        let is_long = value.any(&mut |_| {
            parts += 1;
            parts > most
        });
        if value.is_stable() && !value.has_subquery() && !is_long {
            return Ok(put_in(tested, column, &value));
        }
        if let Some(refused) = refused {
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, refused).at(at));
        }
        let shown = self.columns.add_for("value", &tested);
        let plan = super::table_function::one_row().project(vec![(shown, tested)]);
        let (asks, outer) = (Asks::Value(shown), vec![(column, value)]);
        Ok(Expr {
            kind: ExprKind::Subquery(Box::new(Subquery { asks, plan, outer })),
            data_type,
        })
    }

    /// Binds a CREATE DOMAIN.
    pub(super) fn create_domain(&self, create: &'a CreateDomain) -> Result<Statement> {
        let at = name::object_place(&create.name);
        let located = self.new_type(&create.name)?;
        let mut domain = DomainDef {
            base: self.data_type(&create.data_type, at)?,
            over: self.domain_of(&create.data_type)?.map(|over| over.id),
            default: None,
            not_null: false,
            checks: Vec::new(),
        };
        let mut is_nullable = false;
        let mut names = CheckNames::default();
        for option in &create.options {
            let at = option
                .name
                .as_ref()
                .and_then(|ident| place(ident.span))
                .or(at);
            match &option.option {
                ColumnOption::Null => is_nullable = true,
                ColumnOption::NotNull => domain.not_null = true,
                ColumnOption::Default(_) if domain.default.is_some() => {
                    return Err(sql_error!(SYNTAX_ERROR, "multiple default expressions").at(at));
                }
                ColumnOption::Default(expr) => self.set_domain_default(&mut domain, expr)?,
                ColumnOption::Check(check) => {
                    let own = option.name.as_ref().or(check.name.as_ref());
                    let names = (located.name(), &mut names);
                    self.add_domain_check(&mut domain, names, own, &check.expr)?;
                }
                ColumnOption::Collation(collation) => {
                    super::collation::test(collation, domain.base)?;
                }
                ColumnOption::Unique(_) => return Err(impossible("unique", at)),
                ColumnOption::PrimaryKey(_) => return Err(impossible("primary key", at)),
                ColumnOption::ForeignKey(_) => return Err(impossible("foreign key", at)),
                _ => return refuse("this constraint of a domain", at),
            }
            if is_nullable && domain.not_null {
                let message = "conflicting NULL/NOT NULL constraints";
                return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
            }
        }
        let def = TypeDef {
            id: TypeId::default(),
            name: located.written.name,
            schema: located.schema,
            kind: TypeKind::Domain(domain),
        };
        Ok(Statement::Structure(vec![Step::CreateType(def)]))
    }

    fn set_domain_default(&self, domain: &mut DomainDef, expr: &ast::Expr) -> Result<()> {
        let column = ColumnDef::new(ColumnId(0), "value", domain.base);
        bind_default(self.catalog, expr, &column)?;
        domain.default = Some(expr.to_string());
        Ok(())
    }

    fn add_domain_check(
        &self,
        domain: &mut DomainDef,
        (domain_name, names): (&str, &mut CheckNames),
        own: Option<&ast::Ident>,
        check: &ast::Expr,
    ) -> Result<()> {
        let name = match own {
            Some(own) => name::fold(own)?,
            None => names.free(domain_name),
        };
        if !names.taken.insert(name.clone()) {
            let message =
                format!("constraint \"{name}\" for domain \"{domain_name}\" already exists");
            let at = own.and_then(|own| place(own.span));
            return Err(Error::new(state::DUPLICATE_OBJECT, message).at(at));
        }
        let expression = check.to_string();
        let value = Expr::column(0, domain.base);
        condition(self.catalog, &expression, value, &mut Reached::default())?;
        domain.checks.push(CheckDef {
            name,
            expression,
            not_valid: false,
        });
        Ok(())
    }

    /// Binds an ALTER DOMAIN.
    pub(super) fn alter_domain(
        &mut self,
        def: &Arc<TypeDef>,
        action: &'a AlterDomain,
    ) -> Result<LogicalStatement> {
        let mut altered = TypeDef::clone(def);
        let TypeKind::Domain(domain) = &mut altered.kind else {
            return refuse("this type", None);
        };
        let missing = |name: &str, at: Option<Position>| {
            let message = format!(
                "constraint \"{name}\" of domain \"{}\" does not exist",
                def.name
            );
            Error::new(state::UNDEFINED_OBJECT, message).at(at)
        };
        let find = |domain: &DomainDef, ident: &ast::Ident| -> Result<usize> {
            let name = name::fold(ident)?;
            let found = domain.checks.iter().position(|check| check.name == name);
            found.ok_or_else(|| missing(&name, place(ident.span)))
        };
        // What rows have to be tested for.
        let mut test = None;
        match action {
            AlterDomain::Type(action) => return self.alter_made_type(def, action),
            AlterDomain::Default(None) => domain.default = None,
            AlterDomain::Default(Some(expr)) => self.set_domain_default(domain, expr)?,
            AlterDomain::NotNull(not_null) => {
                test = (*not_null && !domain.not_null).then_some(None);
                domain.not_null = *not_null;
            }
            AlterDomain::AddCheck {
                name,
                check,
                not_valid,
            } => {
                let taken = domain.checks.iter().map(|check| check.name.clone());
                let mut names = CheckNames {
                    taken: taken.collect(),
                    ..CheckNames::default()
                };
                let names = (def.name.as_str(), &mut names);
                self.add_domain_check(domain, names, name.as_ref(), check)?;
                test = (!not_valid).then(|| domain.checks.last().cloned());
            }
            AlterDomain::DropConstraint { name, if_exists } => match find(domain, name) {
                Ok(at) => drop(domain.checks.remove(at)),
                Err(error) if *if_exists && error.sqlstate() == state::UNDEFINED_OBJECT => {}
                Err(error) => return Err(error),
            },
            AlterDomain::RenameConstraint(from, to) => {
                let (at, new) = (find(domain, from)?, name::fold(to)?);
                if domain.checks.iter().any(|check| check.name == new) {
                    let message = format!(
                        "constraint \"{new}\" for domain \"{}\" already exists",
                        def.name
                    );
                    return Err(Error::new(state::DUPLICATE_OBJECT, message).at(place(to.span)));
                }
                domain.checks[at].name = new;
            }
            AlterDomain::Validate(name) => {
                let at = find(domain, name)?;
                test = Some(domain.checks.get(at).cloned());
            }
        }
        let first = LogicalStatement::Done(Statement::Structure(vec![Step::AlterType(altered)]));
        let mut all = vec![first];
        if let Some(check) = test {
            all.append(&mut self.rows_tested(def.id, check.as_ref())?);
        }
        Ok(LogicalStatement::Each(all))
    }

    /// Tests of all rows with values of a domain: for a condition, or for NULL.
    fn rows_tested(
        &mut self,
        id: TypeId,
        check: Option<&CheckDef>,
    ) -> Result<Vec<LogicalStatement>> {
        let catalog = self.catalog;
        let mut all = Vec::new();
        let is_of = |column: &ColumnDef| {
            let of = column.domain.into_iter();
            let mut domains = of.flat_map(|domain| catalog.type_space().domains(domain));
            domains.any(|domain| domain.id == id)
        };
        for entry in catalog.tables() {
            let mut checks = Vec::new();
            for (position, column) in entry.def.columns.iter().enumerate() {
                if !is_of(column) {
                    continue;
                }
                let value = Expr::column(position, column.data_type);
                let (fails, what) = match check {
                    Some(check) => {
                        let holds =
                            condition(catalog, &check.expression, value, &mut Reached::default())?;
                        (
                            super::expr::not(holds),
                            "values that violate the new constraint",
                        )
                    }
                    None => (super::expr::is_null(value), "null values"),
                };
                let (column, table) = (&column.name, &entry.def.name);
                let message = format!("column \"{column}\" of table \"{table}\" contains {what}");
                let truth = Expr::boolean(true);
                checks.push(RowCheck {
                    name: String::new(),
                    of_view: false,
                    asked: None,
                    condition: case(
                        vec![(fails, raised(message, check.is_none(), &truth)?)],
                        truth,
                    ),
                });
            }
            if checks.is_empty() {
                continue;
            }
            let altered = self.altered_entry(Arc::clone(entry));
            let query = altered.query(self);
            let alter = AlterTable {
                before: Vec::new(),
                def: entry.def.clone(),
                rows: AlteredRows::Tested(Box::new(PhysicalPlan::nothing())),
                tests: Tests {
                    not_null: Vec::new(),
                    checks,
                },
                after: Vec::new(),
                numbered: Vec::new(),
                foreign_keys: Vec::new(),
                validated: Vec::new(),
            };
            all.push(LogicalStatement::AlterTable(Box::new(alter), query));
        }
        Ok(all)
    }
}

/// What a column of a domain asks of its values; none where it asks nothing.
pub(super) fn column_check(
    catalog: &Catalog,
    position: usize,
    column: &ColumnDef,
) -> Result<Option<RowCheck>> {
    let Some(def) = column.domain.and_then(|id| catalog.type_by_id(id)) else {
        return Ok(None);
    };
    let value = Expr::column(position, column.data_type);
    let truth = Expr::boolean(true);
    let condition = tested(catalog, def, (value, truth), &mut Reached::default())?;
    Ok(condition.map(|condition| RowCheck {
        name: def.name.clone(),
        of_view: false,
        asked: None,
        condition,
    }))
}

/// What a column is that is of a domain and has no default of its own.
pub(super) fn domain_default(catalog: &Catalog, column: &ColumnDef) -> Option<String> {
    let mut domains = catalog.type_space().domains(column.domain?);
    domains.find_map(|def| def.domain()?.default.clone())
}

/// Fails where a value is none of a domain, and else is what is said; none where every value is one.
fn tested(
    catalog: &Catalog,
    def: &TypeDef,
    (value, otherwise): (Expr, Expr),
    reached: &mut Reached,
) -> Result<Option<Expr>> {
    let domains: Vec<_> = catalog.type_space().domains(def.id).collect();
    let domains = domains.iter().rev().filter_map(|def| def.domain());
    let domain_name = &def.name;
    let mut branches = Vec::new();
    if domains.clone().any(|domain| domain.not_null) {
        let message = format!("domain {domain_name} does not allow null values");
        let test = super::expr::is_null(value.clone());
        branches.push((test, raised(message, true, &otherwise)?));
    }
    // Those of one domain by name, as in PostgreSQL.
    let by_name = |domain: &'_ DomainDef| {
        let mut checks = domain.checks.clone();
        checks.sort_by(|one, other| one.name.cmp(&other.name));
        checks
    };
    for check in domains.flat_map(by_name) {
        let holds = condition(catalog, &check.expression, value.clone(), reached)?;
        let message = format!(
            "value for domain {domain_name} violates check constraint \"{}\"",
            check.name
        );
        branches.push((super::expr::not(holds), raised(message, false, &otherwise)?));
    }
    Ok((!branches.is_empty()).then(|| case(branches, otherwise)))
}

fn case(branches: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    let data_type = otherwise.data_type;
    Expr::case(branches, otherwise, data_type)
}

/// A condition of a domain over the column that a value is.
///
/// # Errors
/// 54001 and 54000 where conditions lead to each other.
fn condition(catalog: &Catalog, text: &str, value: Expr, reached: &mut Reached) -> Result<Expr> {
    let ExprKind::Column(column) = value.kind else {
        return refuse("this value", None);
    };
    let scope = Scope {
        columns: vec![ScopeColumn::new(
            None,
            "value".to_owned(),
            column,
            value.data_type,
        )],
        tables: Vec::new(),
        ..Scope::default()
    };
    let syntax = parse_expression(text)?;
    reached.calls += 1;
    if reached.calls > CALLS_MAX {
        let message = "conditions of domains lead to too many others";
        return Err(Error::new(state::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let mut binder = Binder::new(catalog);
    (binder.depth, binder.calls) = (reached.depth + LEVELS, reached.calls);
    let bound = binder.condition_of(&syntax, "CHECK", &mut Context::new(&scope, Clause::Check));
    reached.calls = binder.calls;
    bound
}

/// An error in place of a value like another.
fn raised(message: String, is_null: bool, like: &Expr) -> Result<Expr> {
    let data_type = like.data_type;
    let arguments = vec![
        Expr::literal(Value::Text(message), DataType::Text),
        Expr::boolean(is_null),
        Expr::literal(Value::Null, data_type),
    ];
    let types: Vec<_> = arguments
        .iter()
        .map(|argument| Some(argument.data_type))
        .collect();
    let found = function::resolve(function::DOMAIN_ERROR, &types)?;
    Ok(Expr::call(found.overload, arguments, data_type))
}

fn put_in(expr: Expr, column: usize, value: &Expr) -> Expr {
    expr.substitute(&[(column, value.clone())])
}

fn impossible(kind: &str, at: Option<Position>) -> Error {
    sql_error!(SYNTAX_ERROR, "{kind} constraints not possible for domains").at(at)
}

/// A cast to a domain, behind that to its type.
impl<'a> Binder<'a> {
    /// The value as one of the domain that a cast names, if it names one.
    pub(super) fn cast_to_domain(
        &mut self,
        syntax: &ast::DataType,
        value: Expr,
        at: Option<Position>,
        cx: &Context<'_>,
    ) -> Result<Bound> {
        match self.domain_of(syntax)? {
            Some(def) => Ok(Bound::Typed(self.in_domain(&def, value, at, cx)?)),
            None => Ok(Bound::Typed(value)),
        }
    }
}
