//! Types that somebody made as SQL that makes them again.

use super::name_sql::{literal, qualified_type};
use super::table_sql::named_check;
use crate::function::quoted;
use remora_storage::catalog::{Catalog, TypeDef, TypeKind};

/// The statements that make the types, in order of creation.
pub(crate) fn type_sql(catalog: &Catalog) -> impl Iterator<Item = String> {
    catalog.types().filter_map(|def| sql_of(def, catalog))
}

fn sql_of(def: &TypeDef, catalog: &Catalog) -> Option<String> {
    let name = qualified_type(catalog, def.schema, &def.name);
    Some(match &def.kind {
        // It comes with its ranges.
        TypeKind::Multirange(_) => return None,
        TypeKind::Range(of) => {
            let multirange = def.companion().and_then(|id| catalog.type_by_id(id))?;
            let multirange = qualified_type(catalog, multirange.schema, &multirange.name);
            let subtype = of.subtype();
            format!(
                "CREATE TYPE {name} AS RANGE (SUBTYPE = {subtype}, MULTIRANGE_TYPE_NAME = {multirange});"
            )
        }
        TypeKind::Enum(labels) => {
            let labels = labels.iter();
            let labels = labels.map(|label| literal(&label.label));
            let labels = labels.collect::<Vec<_>>().join(", ");
            format!("CREATE TYPE {name} AS ENUM ({labels});")
        }
        TypeKind::Composite(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|field| format!("{} {}", quoted(&field.name), field.data_type));
            let fields = fields.collect::<Vec<_>>().join(", ");
            format!("CREATE TYPE {name} AS ({fields});")
        }
        TypeKind::Domain(domain) => {
            let over = domain.over.and_then(|id| catalog.type_by_id(id));
            let base = over.map(|over| qualified_type(catalog, over.schema, &over.name));
            let base = base.unwrap_or_else(|| domain.base.to_string());
            let default = domain.default.as_ref();
            let default = default.map_or_else(String::new, |text| format!(" DEFAULT {text}"));
            let not_null = if domain.not_null { " NOT NULL" } else { "" };
            let checks = domain.checks.iter();
            let checks = checks.map(|check| format!(" {}", named_check(check)));
            let checks: String = checks.collect();
            format!("CREATE DOMAIN {name} AS {base}{default}{not_null}{checks};")
        }
    })
}
