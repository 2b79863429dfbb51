//! Deparse: the catalog as SQL that makes it again, and as PostgreSQL's functions show it.

mod catalog_sql;
mod comment_sql;
mod definition;
mod export_order;
mod function_sql;
mod key_sql;
mod name_sql;
mod sequence_sql;
mod table_sql;
mod trigger_sql;
mod type_sql;
mod view_sql;

pub(crate) use catalog_sql::{all_sql, index_or_constraint, table_with_all, view_with_all};
pub(crate) use definition::definition;
