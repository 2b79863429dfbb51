//! Collations of expressions: by which texts are compared, by PostgreSQL's rules.
//!
//! A column has the collation that it was made with, an expression the one that `COLLATE` says, or else that of what
//! it is made of. What is said goes before what comes along; that two are said is an error, that two come along is one
//! only where texts are compared. Columns of a statement know their collation ([`Columns`]), so that it comes through
//! subqueries and views.

use super::logical::Columns;
use super::{Asks, Expr, ExprKind};
use crate::function::{COLLATE, KEY, element_of};
use remora_storage::catalog::Collation;
use remora_storage::{DataType, Value};
use std::collections::BTreeMap;

/// How an expression comes by its collation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Derivation {
    /// Nothing says any.
    Default,
    /// It comes along with a column.
    Implicit(Collation),
    /// It is said; `None` is the default.
    Explicit(Option<Collation>),
    /// Two come along.
    Conflict(Collation, Collation),
    /// Two are said.
    Clash(Option<Collation>, Option<Collation>),
    /// It is a record, or a field of one, some of whose fields have the collation `nocase`.
    Within,
}

impl Derivation {
    /// That of what is made of two.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        use Derivation as D;
        match (self, other) {
            (clash @ D::Clash(..), _) | (_, clash @ D::Clash(..)) => clash,
            (D::Explicit(one), D::Explicit(two)) if one != two => D::Clash(one, two),
            (said @ D::Explicit(_), _) | (_, said @ D::Explicit(_)) => said,
            (D::Within, _) | (_, D::Within) => D::Within,
            (both @ D::Conflict(..), _) | (_, both @ D::Conflict(..)) => both,
            (D::Implicit(one), D::Implicit(two)) if one != two => D::Conflict(one, two),
            (found @ D::Implicit(_), _) | (D::Default, found) => found,
        }
    }

    /// What a column has that is computed from such an expression.
    #[must_use]
    pub(crate) fn of_column(self) -> Self {
        match self {
            Self::Explicit(Some(said)) => Self::Implicit(said),
            Self::Explicit(None) => Self::Default,
            other => other,
        }
    }

    /// Whether `nocase` is in it.
    fn has_nocase(self) -> bool {
        let is = |found: Option<Collation>| found == Some(Collation::Nocase);
        match self {
            Self::Default => false,
            Self::Implicit(one) => is(Some(one)),
            Self::Explicit(one) => is(one),
            Self::Conflict(one, two) => is(Some(one)) || is(Some(two)),
            Self::Clash(one, two) => is(one) || is(two),
            Self::Within => true,
        }
    }
}

/// The collations of a statement's columns and parameters, of those that have one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collations {
    columns: BTreeMap<usize, Derivation>,
    parameters: BTreeMap<usize, Derivation>,
    /// What is said of columns by the expressions that they are computed from.
    said_of: BTreeMap<usize, Option<Collation>>,
    /// Whether any expression says one.
    said: bool,
}

impl Collations {
    /// Whether there are none: then nobody need ask.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.parameters.is_empty() && !self.said
    }

    /// From now on expressions may say some.
    pub(crate) fn are_said(&mut self) {
        self.said = true;
    }

    /// A column has this one.
    pub(crate) fn set(&mut self, column: usize, found: Derivation) {
        if let Derivation::Explicit(said) = found {
            self.said_of.insert(column, said);
        }
        if found.of_column() != Derivation::Default {
            self.columns.insert(column, found.of_column());
        }
    }

    /// That of a column.
    pub(crate) fn of_column(&self, column: usize) -> Derivation {
        let found = self.columns.get(&column).copied();
        found.unwrap_or(Derivation::Default)
    }

    /// That of a column as the expression that it is computed from: where it is one of a branch of a set operation.
    pub(crate) fn of_branch(&self, column: usize) -> Derivation {
        match self.said_of.get(&column) {
            Some(said) => Derivation::Explicit(*said),
            None => self.of_column(column),
        }
    }

    /// A parameter has this one.
    pub(crate) fn set_parameter(&mut self, parameter: usize, found: Derivation) {
        if found.of_column() != Derivation::Default {
            self.parameters.insert(parameter, found.of_column());
        }
    }

    /// That of an expression.
    pub(crate) fn of(&self, expr: &Expr) -> Derivation {
        match self.is_empty() || !is_collatable(expr.data_type) {
            true => Derivation::Default,
            false => self.derived(expr),
        }
    }

    fn derived(&self, expr: &Expr) -> Derivation {
        let all = |parts: &mut dyn Iterator<Item = &Expr>| {
            let parts = parts.map(|part| self.of(part));
            let parts: Vec<Derivation> = parts.collect();
            if expr.data_type.is_record() && parts.iter().any(|part| part.has_nocase()) {
                return Derivation::Within;
            }
            parts.into_iter().fold(Derivation::Default, Derivation::and)
        };
        match &expr.kind {
            ExprKind::Column(column) => self.of_column(*column),
            ExprKind::Parameter(number) => {
                let found = self.parameters.get(number).copied();
                found.unwrap_or(Derivation::Default)
            }
            ExprKind::Call { .. } if let Some((_, said)) = said(expr) => Derivation::Explicit(said),
            // Keys are compared by their bytes.
            ExprKind::Call { overload, .. } if overload.name == KEY => Derivation::Default,
            ExprKind::Call { arguments, .. } | ExprKind::Host { arguments, .. } => {
                all(&mut arguments.iter())
            }
            ExprKind::Coalesce(parts) => all(&mut parts.iter()),
            ExprKind::Cast { input, .. } => all(&mut std::iter::once(&**input)),
            ExprKind::Case {
                branches,
                otherwise,
            } => {
                let results = branches.iter().map(|(_, result)| result);
                all(&mut results.chain(otherwise.as_deref()))
            }
            ExprKind::Subquery(subquery) => match subquery.asks {
                Asks::Value(column) => self.of_column(column),
                _ => Derivation::Default,
            },
            _ => Derivation::Default,
        }
    }
}

/// What an expression is that says its collation, and which one that is.
pub(crate) fn said(expr: &Expr) -> Option<(&Expr, Option<Collation>)> {
    match &expr.kind {
        ExprKind::Call {
            overload,
            arguments,
        } if overload.name == COLLATE => match arguments.as_slice() {
            [of, name] => match &name.kind {
                ExprKind::Literal(Value::Text(name)) => {
                    let mut all = Collation::ALL.into_iter();
                    Some((of, all.find(|found| found.name() == name)))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Whether values of a type have, or have in them, a collation.
pub(crate) fn is_collatable(data_type: DataType) -> bool {
    let innermost = element_of(data_type).unwrap_or(data_type);
    innermost.is_string() || innermost.is_record()
}

impl Columns {
    /// A new column for the value of an expression, whose collation comes along.
    pub(crate) fn add_for(&mut self, name: impl Into<String>, expr: &Expr) -> usize {
        let column = self.add(name, expr.data_type);
        self.collations.set(column, self.collations.of(expr));
        column
    }

    /// A new column for what a call gives.
    pub(crate) fn add_call(
        &mut self,
        name: impl Into<String>,
        data_type: DataType,
        arguments: &[Expr],
    ) -> usize {
        let column = self.add(name, data_type);
        if is_collatable(data_type) {
            let found = arguments
                .iter()
                .map(|argument| self.collations.of(argument));
            let found = found.fold(Derivation::Default, Derivation::and);
            self.collations.set(column, found);
        }
        column
    }

    /// A new column like another.
    pub(crate) fn add_like(
        &mut self,
        name: impl Into<String>,
        data_type: DataType,
        other: usize,
    ) -> usize {
        let column = self.add(name, data_type);
        self.collations
            .set(column, self.collations.of_column(other));
        column
    }
}
