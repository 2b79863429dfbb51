//! Hard limits. Each is an error with SQLSTATE 54000 (or 54011 for columns) when passed.

/// Columns in one table, as in PostgreSQL.
pub const COLUMNS_MAX: usize = 1600;
/// Bytes of one text or bytea value.
pub const VALUE_BYTES_MAX: usize = 256 << 20;
/// Bytes of one encoded index key.
pub const KEY_BYTES_MAX: usize = 16 << 10;
/// Bytes of an identifier, as in PostgreSQL.
pub const IDENTIFIER_BYTES_MAX: usize = 63;
/// Significant digits of a NUMERIC.
pub const NUMERIC_DIGITS_MAX: u8 = 38;
