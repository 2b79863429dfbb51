//! `'t'::regclass` and its like: there is no type for it, but casts between names and object ids.
//!
//! A name in quotes becomes the id, to be compared with, and is shown as the name where it is all that a statement
//! gives; a number becomes the name. With types (`::regtype`) it is the other way round: they are names, and
//! become ids where they are compared with one.

use super::query::Relation;
use super::{Binder, Bound, Context, Unknown};
use crate::error::Result;
use crate::function::{PG_TYPES, RelationName, relation_oid, type_name};
use crate::parse::parse_data_type;
use crate::plan::Expr;
use crate::plan::logical::Logical;
use remora_storage::{DataType, Value};
use sqlparser::ast;

impl<'a> Binder<'a> {
    /// `expr::regclass`
    pub(super) fn regclass(
        &mut self,
        syntax: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = super::expr::start(syntax);
        match self.expr(syntax, cx)? {
            Bound::Unknown(Unknown::Text(text, _)) => {
                let name = RelationName::parse(&text).map_err(|error| error.at(at))?;
                let located = self.path.locate(self.catalog, name);
                self.resolved.take();
                let oid = relation_oid(self.catalog, &located).ok_or_else(|| {
                    sql_error!(UNDEFINED_TABLE, "relation \"{located}\" does not exist").at(at)
                })?;
                let oid = Expr::literal(Value::BigInt(oid), DataType::BigInt);
                Ok(Bound::Typed(oid))
            }
            bound => match bound.data_type() {
                Some(DataType::Text | DataType::Varchar(_)) => {
                    self.call("to_regclass", vec![bound], at)
                }
                _ => self.call("regclass", vec![bound], at),
            },
        }
    }

    /// `expr::regtype`: the name of a type as SQL has it.
    ///
    /// # Errors
    /// 42704
    pub(super) fn regtype(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let at = super::expr::start(syntax);
        match self.expr(syntax, cx)? {
            Bound::Unknown(Unknown::Text(text, _)) => match self.type_called(&text) {
                Ok(name) => Ok(text_literal(name)),
                Err(error) => Err(error.at(at)),
            },
            bound => match bound.data_type() {
                None | Some(DataType::Text | DataType::Varchar(_)) => Ok(bound),
                Some(_) => {
                    let nothing = Expr::literal(Value::Null, DataType::BigInt);
                    self.call("format_type", vec![bound, Bound::Typed(nothing)], at)
                }
            },
        }
    }

    /// The name in SQL of the type that a text names, or has the number of.
    ///
    /// # Errors
    /// 42601, 42704
    fn type_called(&self, text: &str) -> Result<String> {
        if let Ok(oid) = text.parse::<i64>() {
            let known = PG_TYPES.iter().find(|known| known.oid == oid);
            return Ok(known.map_or_else(|| text.to_owned(), |known| known.sql.to_owned()));
        }
        let syntax = parse_data_type(text)?;
        self.data_type(&syntax, None).map(type_name)
    }

    /// `to_regtype(text)`: NULL where there is none.
    pub(super) fn to_regtype(&self, text: &str) -> Bound {
        match self.type_called(text) {
            Ok(name) => text_literal(name),
            Err(_) => Bound::Typed(Expr::literal(Value::Null, DataType::Text)),
        }
    }

    /// The number of the type that `'name'::regtype` names.
    pub(super) fn regtype_oid(&self, syntax: &ast::Expr) -> Result<Option<i64>> {
        let Some(ast::Expr::Value(value)) = inner(syntax, is_regtype) else {
            return Ok(None);
        };
        let Some(text) = super::literal::string(&value.value) else {
            return Ok(None);
        };
        let name = self.type_called(text)?;
        let known = PG_TYPES.iter().find(|known| known.sql == name);
        Ok(known.map(|known| known.oid))
    }

    /// A value beside a type's name in a comparison: the name's number where the value is a number.
    pub(super) fn beside_type(&self, name: (&ast::Expr, Bound), value: &Bound) -> Result<Bound> {
        let is_number = matches!(
            value.data_type(),
            Some(DataType::BigInt | DataType::Integer)
        );
        match self.regtype_oid(name.0)? {
            Some(oid) if is_number => Ok(Bound::Typed(Expr::literal(
                Value::BigInt(oid),
                DataType::BigInt,
            ))),
            _ => Ok(name.1),
        }
    }

    /// What a statement shows, with the names of relations in the place of their ids.
    pub(super) fn with_names(
        &mut self,
        query: &'a ast::Query,
        mut relation: Relation,
    ) -> Result<Relation> {
        let ast::SetExpr::Select(select) = &*query.body else {
            return Ok(relation);
        };
        let shown = select.projection.iter().map_while(|item| match item {
            ast::SelectItem::UnnamedExpr(expr) => Some(expr),
            ast::SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let classes: Vec<bool> = shown
            .map(|expr| inner(expr, is_regclass).is_some())
            .collect();
        if !classes.contains(&true) || !relation.rows.is_empty() {
            return Ok(relation);
        }
        let mut exprs = Vec::with_capacity(relation.outputs.len());
        for (at, output) in relation.outputs.iter_mut().enumerate() {
            let value = Expr::column(output.column, output.data_type);
            let value = match classes.get(at) {
                Some(true) if output.data_type == DataType::BigInt => {
                    let name = self.call("regclass", vec![Bound::Typed(value)], None)?;
                    self.settle(name)?
                }
                _ => value,
            };
            output.data_type = value.data_type;
            output.column = self.columns.add_for(&output.name, &value);
            exprs.push((output.column, value));
        }
        let input = Box::new(relation.plan);
        relation.plan = Logical::Project { input, exprs };
        Ok(relation)
    }
}

fn text_literal(text: String) -> Bound {
    Bound::Typed(Expr::literal(Value::Text(text), DataType::Text))
}

/// What is cast by this, brackets aside.
fn inner(syntax: &ast::Expr, is_meant: fn(&ast::DataType) -> bool) -> Option<&ast::Expr> {
    match syntax {
        ast::Expr::Nested(inner_of) => inner(inner_of, is_meant),
        ast::Expr::Cast {
            expr, data_type, ..
        } if is_meant(data_type) => Some(expr),
        _ => None,
    }
}

/// Whether this is `..::regclass`.
pub(super) fn is_class(syntax: &ast::Expr) -> bool {
    inner(syntax, is_regclass).is_some()
}

fn is_regclass(syntax: &ast::DataType) -> bool {
    matches!(syntax, ast::DataType::Regclass)
}

/// Whether a type is that of types, which are names here.
pub(super) fn is_regtype(syntax: &ast::DataType) -> bool {
    is_called(syntax, "regtype")
}

/// Whether a type is that of object ids, which are numbers here.
pub(super) fn is_oid(syntax: &ast::DataType) -> bool {
    is_called(syntax, "oid")
}

/// Whether a type is that of paths of JSON, which are texts here.
pub(super) fn is_jsonpath(syntax: &ast::DataType) -> bool {
    is_called(syntax, "jsonpath")
}

/// Whether a cast is to what has no type yet.
pub(super) fn is_unknown(syntax: &ast::DataType) -> bool {
    is_called(syntax, "unknown")
}

fn is_called(syntax: &ast::DataType, wanted: &str) -> bool {
    match syntax {
        ast::DataType::Custom(name, modifiers) => {
            modifiers.is_empty() && super::name::function(name).is_ok_and(|name| name == wanted)
        }
        _ => false,
    }
}
