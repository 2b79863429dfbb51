//! The tables of `pg_catalog`: what is in the catalog, in the columns that tools ask PostgreSQL for.
//!
//! Object ids are numbers of 64 bits (there is no type OID), lists of columns are text. What PostgreSQL has and
//! this engine does not is constant, or left out.

use super::table::Column;
use remora_storage::DataType::{BigInt, Boolean, Integer, Real, SmallInt, Text};

/// One of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PgTable {
    /// Schemas.
    Namespace,
    /// Tables, views, indexes and sequences.
    Class,
    /// Columns of tables and views.
    Attribute,
    /// Types.
    Type,
    /// Values of enumerations.
    Enum,
    /// What ranges are of.
    Range,
    /// Indexes.
    Index,
    /// Constraints.
    Constraint,
    /// Triggers.
    Trigger,
    /// Columns of constraints, one a row; PostgreSQL has them as arrays.
    ConstraintColumn,
    /// Defaults.
    AttrDef,
    /// Queries of views.
    Rewrite,
    /// Sequences.
    Sequence,
    /// Comments.
    Description,
    /// The database.
    Database,
    /// The user.
    Roles,
}

impl PgTable {
    /// All of them.
    pub(crate) const ALL: [Self; 16] = [
        Self::Namespace,
        Self::Class,
        Self::Attribute,
        Self::Type,
        Self::Enum,
        Self::Range,
        Self::Index,
        Self::Constraint,
        Self::Trigger,
        Self::ConstraintColumn,
        Self::AttrDef,
        Self::Rewrite,
        Self::Sequence,
        Self::Description,
        Self::Database,
        Self::Roles,
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Namespace => "pg_namespace",
            Self::Class => "pg_class",
            Self::Attribute => "pg_attribute",
            Self::Type => "pg_type",
            Self::Enum => "pg_enum",
            Self::Range => "pg_range",
            Self::Index => "pg_index",
            Self::Constraint => "pg_constraint",
            Self::Trigger => "pg_trigger",
            Self::ConstraintColumn => "remora_constraint_columns",
            Self::AttrDef => "pg_attrdef",
            Self::Rewrite => "pg_rewrite",
            Self::Sequence => "pg_sequence",
            Self::Description => "pg_description",
            Self::Database => "pg_database",
            Self::Roles => "pg_roles",
        }
    }

    /// Its columns.
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Self::Namespace => &[
                ("oid", BigInt),
                ("nspname", Text),
                ("nspowner", BigInt),
                ("nspacl", Text),
            ],
            Self::Class => &[
                ("oid", BigInt),
                ("relname", Text),
                ("relnamespace", BigInt),
                ("reltype", BigInt),
                ("relowner", BigInt),
                ("relam", BigInt),
                ("relfilenode", BigInt),
                ("reltablespace", BigInt),
                ("relpages", Integer),
                ("reltuples", Real),
                ("relhasindex", Boolean),
                ("relisshared", Boolean),
                ("relpersistence", Text),
                ("relkind", Text),
                ("relnatts", SmallInt),
                ("relchecks", SmallInt),
                ("relhasrules", Boolean),
                ("relhastriggers", Boolean),
                ("relrowsecurity", Boolean),
                ("relispopulated", Boolean),
                ("relispartition", Boolean),
                ("reloptions", Text),
            ],
            Self::Attribute => &[
                ("attrelid", BigInt),
                ("attname", Text),
                ("atttypid", BigInt),
                ("attlen", SmallInt),
                ("attnum", SmallInt),
                ("attndims", Integer),
                ("atttypmod", Integer),
                ("attnotnull", Boolean),
                ("atthasdef", Boolean),
                ("attidentity", Text),
                ("attgenerated", Text),
                ("attisdropped", Boolean),
                ("attislocal", Boolean),
                ("attcollation", BigInt),
            ],
            Self::Type => &[
                ("oid", BigInt),
                ("typname", Text),
                ("typnamespace", BigInt),
                ("typowner", BigInt),
                ("typlen", SmallInt),
                ("typtype", Text),
                ("typcategory", Text),
                ("typrelid", BigInt),
                ("typelem", BigInt),
                ("typnotnull", Boolean),
                ("typbasetype", BigInt),
                ("typtypmod", Integer),
            ],
            Self::Enum => &[
                ("oid", BigInt),
                ("enumtypid", BigInt),
                ("enumsortorder", Real),
                ("enumlabel", Text),
            ],
            Self::Range => &[
                ("rngtypid", BigInt),
                ("rngsubtype", BigInt),
                ("rngmultitypid", BigInt),
                ("rngcanonical", Text),
                ("rngsubdiff", Text),
            ],
            Self::Index => &[
                ("indexrelid", BigInt),
                ("indrelid", BigInt),
                ("indnatts", SmallInt),
                ("indnkeyatts", SmallInt),
                ("indisunique", Boolean),
                ("indisprimary", Boolean),
                ("indimmediate", Boolean),
                ("indisvalid", Boolean),
                ("indisready", Boolean),
                ("indislive", Boolean),
                ("indkey", Text),
                ("indexdef", Text),
            ],
            Self::Constraint => &[
                ("oid", BigInt),
                ("conname", Text),
                ("connamespace", BigInt),
                ("contype", Text),
                ("condeferrable", Boolean),
                ("condeferred", Boolean),
                ("convalidated", Boolean),
                ("conrelid", BigInt),
                ("conindid", BigInt),
                ("confrelid", BigInt),
                ("confupdtype", Text),
                ("confdeltype", Text),
                ("confmatchtype", Text),
                ("conkey", Text),
                ("confkey", Text),
                ("conbin", Text),
            ],
            Self::Trigger => &[
                ("oid", BigInt),
                ("tgrelid", BigInt),
                ("tgname", Text),
                ("tgtype", SmallInt),
                ("tgenabled", Text),
                ("tgisinternal", Boolean),
                ("tgattr", Text),
                ("tgqual", Text),
                ("tgoldtable", Text),
                ("tgnewtable", Text),
                ("tgbody", Text),
            ],
            Self::ConstraintColumn => &[
                ("conoid", BigInt),
                ("position", Integer),
                ("conrelid", BigInt),
                ("attnum", SmallInt),
                ("confrelid", BigInt),
                ("confattnum", SmallInt),
            ],
            Self::AttrDef => &[
                ("oid", BigInt),
                ("adrelid", BigInt),
                ("adnum", SmallInt),
                ("adbin", Text),
            ],
            Self::Rewrite => &[
                ("oid", BigInt),
                ("rulename", Text),
                ("ev_class", BigInt),
                ("ev_type", Text),
                ("ev_enabled", Text),
                ("is_instead", Boolean),
                ("ev_action", Text),
            ],
            Self::Sequence => &[
                ("seqrelid", BigInt),
                ("seqtypid", BigInt),
                ("seqstart", BigInt),
                ("seqincrement", BigInt),
                ("seqmax", BigInt),
                ("seqmin", BigInt),
                ("seqcache", BigInt),
                ("seqcycle", Boolean),
                ("seqidentity", Boolean),
            ],
            Self::Description => &[
                ("objoid", BigInt),
                ("classoid", BigInt),
                ("objsubid", Integer),
                ("description", Text),
            ],
            Self::Database => &[
                ("oid", BigInt),
                ("datname", Text),
                ("datdba", BigInt),
                ("encoding", Integer),
                ("datcollate", Text),
                ("datctype", Text),
                ("datistemplate", Boolean),
                ("datallowconn", Boolean),
            ],
            Self::Roles => &[
                ("oid", BigInt),
                ("rolname", Text),
                ("rolsuper", Boolean),
                ("rolcanlogin", Boolean),
            ],
        }
    }
}
