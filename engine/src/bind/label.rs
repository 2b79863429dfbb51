//! What a select item without alias is called, by PostgreSQL's habits.

use super::data_type::{data_type, internal_name};
use super::name::{self, truncate};
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
        E::CompoundIdentifier(parts) => (parts.last().and_then(name_of), true),
        E::Nested(inner) | E::Collate { expr: inner, .. } => find(inner),
        E::Function(function) => (name::function(&function.name).ok(), true),
        E::Cast {
            expr,
            data_type: to,
            ..
        } => match find(expr) {
            (Some(name), true) => (Some(name), true),
            _ => (
                data_type(to, None)
                    .ok()
                    .map(|t| internal_name(t).to_owned()),
                false,
            ),
        },
        E::TypedString(typed) => {
            let found = data_type(&typed.data_type, None).ok();
            (found.map(|t| internal_name(t).to_owned()), false)
        }
        E::Case { else_result, .. } => match else_result.as_deref().map(find) {
            Some((Some(name), true)) => (Some(name), true),
            _ => weak("case"),
        },
        E::Value(value) if matches!(value.value, ast::Value::Boolean(_)) => weak("bool"),
        E::Interval(_) => weak("interval"),
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
