//! The catalog as SQL that makes it again.

pub(super) mod comment_sql;
pub(super) mod definition;
pub(super) mod export_order;
pub(super) mod function_sql;
pub(super) mod introspect;
pub(super) mod table_sql;
pub(super) mod trigger_sql;
pub(super) mod type_sql;
pub(super) mod view_sql;
