//! What a select item without alias is called, by PostgreSQL's habits.

use super::array::field_of;
use super::data_type::{data_type, internal_name, without_precision};
use super::name::{self, truncate};
use crate::parse::STAR;
use sqlparser::ast;

/// The name PostgreSQL shows where it finds none.
const NONE: &str = "?column?";

/// The name of an item.
pub(super) fn label(syntax: &ast::Expr) -> String {
    find(syntax).0.unwrap_or_else(|| NONE.to_owned())
}

/// The name, and whether it is a better one than that of a type or of CASE.
fn find(syntax: &ast::Expr) -> (Option<String>, bool) {
    use ast::Expr as E;
    let strong = |name: &str| (Some(name.to_owned()), true);
    let weak = |name: &str| (Some(name.to_owned()), false);
    match syntax {
        E::Identifier(ident) => (name_of(ident), true),
        E::CompoundIdentifier(parts) => {
            let mut names = parts.iter().rev().filter(|part| part.value != STAR);
            (names.next().and_then(name_of), true)
        }
        E::Nested(inner) | E::Collate { expr: inner, .. } => find(inner),
        E::Function(function) => (name::function(&function.name).ok(), true),
        E::Cast {
            expr,
            data_type: to,
            ..
        } => match find(expr) {
            (Some(name), true) => (Some(name), true),
            _ => (type_label(to), false),
        },
        E::TypedString(typed) => (type_label(&typed.data_type), false),
        E::Case { else_result, .. } => match else_result.as_deref().map(find) {
            Some((Some(name), true)) => (Some(name), true),
            _ => weak("case"),
        },
        E::Value(value) if matches!(value.value, ast::Value::Boolean(_)) => weak("bool"),
        E::Interval(_) => weak("interval"),
        E::Array(_) => strong("array"),
        E::CompoundFieldAccess { root, access_chain } => {
            let mut fields = access_chain.iter().rev();
            match fields.find_map(field_of) {
                Some(field) if field.value != STAR => (name_of(field), true),
                _ => find(root),
            }
        }
        E::QualifiedWildcard(table, _) => (name::single(table).ok(), true),
        E::Tuple(_) => strong("row"),
        E::Extract { .. } => strong("extract"),
        E::Substring { shorthand, .. } => strong(if *shorthand { "substr" } else { "substring" }),
        E::Trim { trim_where, .. } => strong(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        E::Position { .. } => strong("position"),
        E::Overlay { .. } => strong("overlay"),
        E::Ceil { .. } => strong("ceil"),
        E::Floor { .. } => strong("floor"),
        E::AtTimeZone { .. } => strong("timezone"),
        E::Exists { negated: false, .. } => strong("exists"),
        E::Subquery(query) => match of_query(query) {
            Some(name) => (Some(name), true),
            None => (None, false),
        },
        _ => (None, false),
    }
}

/// The name of a type, in short.
fn type_label(syntax: &ast::DataType) -> Option<String> {
    match (data_type(&without_precision(syntax), None), syntax) {
        (Ok(known), _) => Some(internal_name(known).to_owned()),
        (Err(_), ast::DataType::Custom(name, _)) => {
            let parts = name::parts(name).ok()?;
            parts.last().and_then(|ident| name_of(ident))
        }
        (Err(_), ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _))) => {
            type_label(element)
        }
        _ => None,
    }
}

/// What a query calls its first column.
fn of_query(query: &ast::Query) -> Option<String> {
    let ast::SetExpr::Select(select) = &*query.body else {
        return None;
    };
    match select.projection.first()? {
        ast::SelectItem::UnnamedExpr(expr) => find(expr).0,
        ast::SelectItem::ExprWithAlias { alias, .. } => name_of(alias),
        _ => None,
    }
}

fn name_of(ident: &ast::Ident) -> Option<String> {
    Some(match ident.quote_style {
        Some(_) => truncate(ident.value.clone()),
        None => truncate(ident.value.to_lowercase()),
    })
}
