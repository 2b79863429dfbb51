//! The catalog as SQL that makes it again.

pub(crate) mod comment_sql;
pub(crate) mod definition;
pub(crate) mod export_order;
pub(crate) mod function_sql;
pub(crate) mod table_sql;
pub(crate) mod trigger_sql;
pub(crate) mod type_sql;
pub(crate) mod view_sql;
