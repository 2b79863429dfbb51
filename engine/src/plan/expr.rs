//! Bound expressions: every name resolved, every type known, every cast written out.

use super::Subquery;
use crate::function::host::HostFunction;
use crate::function::{CallTypes, Overload};
use remora_storage::{DataType, Value};
use std::sync::Arc;

/// An expression and its type.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The type of its value.
    pub data_type: DataType,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// A constant of `data_type`, or NULL.
    Literal(Value),
    /// The statement's parameter of this number, counted from 0.
    Parameter(usize),
    /// The input column at this position.
    Column(usize),
    /// A call. Arguments have exactly the overload's types.
    Call {
        /// Of what.
        overload: &'static Overload,
        /// On what.
        arguments: Vec<Expr>,
    },
    /// A call of a function of the host. Arguments have exactly its types.
    Host {
        /// Of what.
        function: Arc<HostFunction>,
        /// On what.
        arguments: Vec<Expr>,
    },
    /// A cast to `data_type`.
    Cast {
        /// Of what.
        input: Box<Expr>,
        /// Whether the user wrote it (then over-long strings are cut, not refused).
        explicit: bool,
    },
    /// True where all are; two or more.
    And(Vec<Expr>),
    /// True where any is; two or more.
    Or(Vec<Expr>),
    /// Three-valued negation.
    Not(Box<Expr>),
    /// `IS NULL`; never NULL itself.
    IsNull(Box<Expr>),
    /// Searched CASE; the first true branch wins, later ones are not evaluated for that row.
    Case {
        /// Conditions and results.
        branches: Vec<(Expr, Expr)>,
        /// The result where no condition is true; NULL if missing.
        otherwise: Option<Box<Expr>>,
    },
    /// The first that is not NULL; later ones are not evaluated for that row.
    Coalesce(Vec<Expr>),
    /// `input IN (list)`, three-valued; all of one type. NOT IN is `Not` of it.
    InList {
        /// What is looked for.
        input: Box<Expr>,
        /// Where.
        list: Vec<Expr>,
    },
    /// What the rows of a subquery say. No rule but the first finds any.
    Subquery(Box<Subquery>),
}

/// The types of a call, as a generic function is told them.
pub(crate) fn call_types(arguments: &[Expr], returns: DataType) -> CallTypes {
    let types = arguments.iter().map(|argument| argument.data_type);
    CallTypes {
        arguments: types.collect(),
        returns,
    }
}

/// One key of ORDER BY.
#[derive(Clone, Debug)]
pub(crate) struct SortKey {
    /// What is ordered by.
    pub expr: Expr,
    /// Whether greater values come first.
    pub descending: bool,
    /// Whether NULLs come before all values.
    pub nulls_first: bool,
}

impl Expr {
    /// An expression of a type.
    pub(crate) fn new(kind: ExprKind, data_type: DataType) -> Self {
        Self { kind, data_type }
    }

    /// A call.
    pub(crate) fn call(
        overload: &'static Overload,
        arguments: Vec<Expr>,
        data_type: DataType,
    ) -> Self {
        let kind = ExprKind::Call {
            overload,
            arguments,
        };
        Self { kind, data_type }
    }

    /// CASE with ELSE.
    pub(crate) fn case(branches: Vec<(Expr, Expr)>, otherwise: Expr, data_type: DataType) -> Self {
        let otherwise = Some(Box::new(otherwise));
        let kind = ExprKind::Case {
            branches,
            otherwise,
        };
        Self { kind, data_type }
    }

    /// A constant.
    pub(crate) fn literal(value: Value, data_type: DataType) -> Self {
        Self {
            kind: ExprKind::Literal(value),
            data_type,
        }
    }

    /// TRUE or FALSE.
    pub(crate) fn boolean(value: bool) -> Self {
        Self::literal(Value::Boolean(value), DataType::Boolean)
    }

    /// The statement's parameter of this number.
    pub(crate) fn parameter(number: usize, data_type: DataType) -> Self {
        Self {
            kind: ExprKind::Parameter(number),
            data_type,
        }
    }

    /// The input column at `position`.
    pub(crate) fn column(position: usize, data_type: DataType) -> Self {
        Self {
            kind: ExprKind::Column(position),
            data_type,
        }
    }
}
