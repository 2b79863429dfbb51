//! Functions as SQL that makes them again.

use super::name_sql::qualified_type;
use super::view_sql::query_sql;
use crate::error::Result;
use crate::function::quoted;
use remora_storage::catalog::{
    Catalog, FunctionBody, FunctionDef, FunctionResult, FunctionVolatility, ResultColumn,
};

/// The statement that makes a function.
pub(crate) fn function_sql(def: &FunctionDef, catalog: &Catalog) -> Result<String> {
    let volatility = match def.volatility {
        FunctionVolatility::Immutable => " IMMUTABLE",
        FunctionVolatility::Stable => " STABLE",
        FunctionVolatility::Volatile => "",
    };
    let strict = if def.strict { " STRICT" } else { "" };
    let body = match &def.body {
        FunctionBody::Text(text) => format!("AS {}", dollar_quoted(text)),
        FunctionBody::Bound { query, sources } => {
            let query = query_sql(query, sources, catalog)?;
            format!("BEGIN ATOMIC {query}; END")
        }
    };
    let (name, parameters) = (quoted(&def.name), parameters(def).join(", "));
    let returns = returns(def, catalog);
    Ok(format!(
        "CREATE FUNCTION {name}({parameters}) RETURNS {returns} LANGUAGE SQL{volatility}{strict} {body};"
    ))
}

fn parameters(def: &FunctionDef) -> Vec<String> {
    let taken = def.parameters.iter().map(|parameter| {
        let name = parameter.name.as_ref();
        let name = name.map_or_else(String::new, |name| format!("{} ", quoted(name)));
        let default = parameter.default.as_ref();
        let default = default.map_or_else(String::new, |text| format!(" DEFAULT {text}"));
        let variadic = if parameter.variadic { "VARIADIC " } else { "" };
        format!("{variadic}{name}{}{default}", parameter.data_type)
    });
    let given = match &def.returns {
        FunctionResult::Row { columns, of: None } => columns.as_slice(),
        _ => &[],
    };
    let given = columns(given)
        .into_iter()
        .map(|column| format!("OUT {column}"));
    taken.chain(given).collect()
}

fn returns(def: &FunctionDef, catalog: &Catalog) -> String {
    let relation = || {
        let id = def.rows_of()?;
        let table = catalog.table_by_id(id);
        let table = table.map(|table| (table.def.schema, &table.def.name));
        let view = || catalog.view_by_id(id).map(|view| (view.schema, &view.name));
        let (schema, name) = table.or_else(view)?;
        Some(qualified_type(catalog, schema, name))
    };
    match (&def.returns, relation()) {
        (FunctionResult::Nothing, _) => "void".to_owned(),
        (FunctionResult::Value(data_type), _) => data_type.to_string(),
        (FunctionResult::Values(data_type), _) => format!("SETOF {data_type}"),
        (FunctionResult::Row { .. }, Some(name)) => name,
        (FunctionResult::Row { .. }, None) => "record".to_owned(),
        (FunctionResult::Rows { .. }, Some(name)) => format!("SETOF {name}"),
        (FunctionResult::Rows { columns: list, .. }, None) => {
            format!("TABLE ({})", columns(list).join(", "))
        }
    }
}

fn columns(list: &[ResultColumn]) -> Vec<String> {
    let column = |column: &ResultColumn| format!("{} {}", quoted(&column.name), column.data_type);
    list.iter().map(column).collect()
}

/// A text between dollars, with a tag that is not in it.
fn dollar_quoted(text: &str) -> String {
    let mut tag = "$function$".to_owned();
    while text.contains(&tag) {
        tag = tag.replace("function", "functionx");
    }
    format!("{tag}{text}{tag}")
}
