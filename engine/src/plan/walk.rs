//! Walks over expressions: the questions and rewrites that every optimizer rule is made of.
//!
//! Recursion is as deep as the expression; the binder bounds that.

use super::{Expr, ExprKind};
use crate::error::Result;
use crate::function::{DOMAIN_ERROR, Volatility, innermost};
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Expr {
    /// The expressions it is made of, from left to right.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Parameter(_) | ExprKind::Column(_) => Vec::new(),
            ExprKind::Call { arguments: all, .. }
            | ExprKind::Host { arguments: all, .. }
            | ExprKind::And(all)
            | ExprKind::Or(all)
            | ExprKind::Coalesce(all) => all.iter().collect(),
            ExprKind::Cast { input, .. } | ExprKind::Not(input) | ExprKind::IsNull(input) => {
                vec![input]
            }
            ExprKind::Case {
                branches,
                otherwise,
            } => branches
                .iter()
                .flat_map(|(when, then)| [when, then])
                .chain(otherwise.as_deref())
                .collect(),
            ExprKind::InList { input, list } => {
                std::iter::once(&**input).chain(list.iter()).collect()
            }
            ExprKind::Subquery(subquery) => subquery.outer.iter().map(|(_, expr)| expr).collect(),
        }
    }

    /// The same expression with each child replaced by what `f` makes of it.
    pub(crate) fn map_children(mut self, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
        match &mut self.kind {
            ExprKind::Literal(_) | ExprKind::Parameter(_) | ExprKind::Column(_) => {}
            ExprKind::Call { arguments: all, .. }
            | ExprKind::Host { arguments: all, .. }
            | ExprKind::And(all)
            | ExprKind::Or(all)
            | ExprKind::Coalesce(all) => all.iter_mut().for_each(|child| child.change(&mut *f)),
            ExprKind::Cast { input, .. } | ExprKind::Not(input) | ExprKind::IsNull(input) => {
                input.change(f);
            }
            ExprKind::Case {
                branches,
                otherwise,
            } => {
                for (when, then) in branches {
                    when.change(&mut *f);
                    then.change(&mut *f);
                }
                otherwise.iter_mut().for_each(|child| child.change(&mut *f));
            }
            ExprKind::InList { input, list } => {
                input.change(&mut *f);
                list.iter_mut().for_each(|child| child.change(&mut *f));
            }
            ExprKind::Subquery(subquery) => {
                let outer = subquery.outer.iter_mut();
                outer.for_each(|(_, child)| child.change(&mut *f));
            }
        }
        self
    }

    /// Takes the expression out of its place, and leaves NULL there.
    pub(crate) fn take(&mut self) -> Expr {
        let null = Expr::literal(Value::Null, self.data_type);
        std::mem::replace(self, null)
    }

    /// Replaces the expression by what `f` makes of it.
    pub(crate) fn change(&mut self, f: impl FnOnce(Expr) -> Expr) {
        *self = f(self.take());
    }

    /// Replaces every column for which `f` gives something, by its number and type.
    pub(crate) fn replace_columns(
        self,
        f: &mut dyn FnMut(usize, DataType) -> Option<Expr>,
    ) -> Expr {
        self.replace(&mut |part| match part.kind {
            ExprKind::Column(column) => f(column, part.data_type),
            _ => None,
        })
    }

    /// Replaces columns by what they are made of, as far as that is said.
    pub(crate) fn substitute(self, exprs: &[(usize, Expr)]) -> Expr {
        self.replace_columns(&mut |column, _| {
            let made = exprs.iter().find(|(number, _)| *number == column);
            made.map(|(_, expr)| expr.clone())
        })
    }

    /// Replaces, from the top, every part for which `f` gives something else.
    pub(crate) fn replace(self, f: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Expr {
        match f(&self) {
            Some(other) => other,
            None => self.map_children(&mut |child| child.replace(f)),
        }
    }

    /// Calls `f` for every part, the whole first.
    ///
    /// # Errors
    /// The first of `f`.
    pub(crate) fn visit(&self, f: &mut dyn FnMut(&Expr) -> Result<()>) -> Result<()> {
        f(self)?;
        self.children()
            .into_iter()
            .try_for_each(|child| child.visit(f))
    }

    /// Whether `f` is true of any part.
    pub(crate) fn any(&self, f: &mut dyn FnMut(&Expr) -> bool) -> bool {
        f(self) || self.children().into_iter().any(|child| child.any(f))
    }

    /// The columns it names.
    pub(crate) fn columns(&self) -> BTreeSet<usize> {
        let mut columns = BTreeSet::new();
        self.any(&mut |part| {
            if let ExprKind::Column(column) = part.kind {
                columns.insert(column);
            }
            false
        });
        columns
    }

    /// Whether there is a subquery in it.
    pub(crate) fn has_subquery(&self) -> bool {
        self.any(&mut |part| matches!(part.kind, ExprKind::Subquery(_)))
    }

    /// Whether it names no column (it may name parameters).
    pub(crate) fn is_column_free(&self) -> bool {
        !self.any(&mut |part| matches!(part.kind, ExprKind::Column(_)))
    }

    /// Whether every evaluation within a statement gives the same for the same columns.
    pub(crate) fn is_stable(&self) -> bool {
        !self.any(&mut |part| match &part.kind {
            ExprKind::Call { overload, .. } => overload.volatility == Volatility::Volatile,
            ExprKind::Host { function, .. } => function.volatility == Volatility::Volatile,
            _ => false,
        })
    }

    /// Whether every evaluation gives the same for the same columns, at all times and in every session.
    pub(crate) fn is_immutable(&self) -> bool {
        !self.any(&mut |part| match &part.kind {
            // It is volatile only so that nobody raises the error before its time.
            ExprKind::Call { overload, .. } if overload.name == DOMAIN_ERROR => false,
            ExprKind::Call { overload, .. } => overload.volatility != Volatility::Immutable,
            ExprKind::Cast { input, .. } => asks_the_session(input.data_type, part.data_type),
            ExprKind::Subquery(_) | ExprKind::Parameter(_) => true,
            _ => false,
        })
    }

    /// Whether this is `a = b`; gives both sides.
    pub(crate) fn as_equality(&self) -> Option<(&Expr, &Expr)> {
        match &self.kind {
            ExprKind::Call {
                overload,
                arguments,
            } if overload.name == "=" => match arguments.as_slice() {
                [left, right] => Some((left, right)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether this is `a IS NOT DISTINCT FROM b`; gives both sides.
    pub(crate) fn as_not_distinct(&self) -> Option<(&Expr, &Expr)> {
        let call = |expr: &Self, name| match &expr.kind {
            ExprKind::Call { overload, .. } => overload.name == name,
            _ => false,
        };
        let sides = match &self.kind {
            ExprKind::Not(inner) if call(inner, "is_distinct_from") => inner,
            _ if call(self, "is_not_distinct_from") => self,
            _ => return None,
        };
        match &sides.kind {
            ExprKind::Call { arguments, .. } => match arguments.as_slice() {
                [left, right] => Some((left, right)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Splits `a AND b AND c` into its parts; anything else is one part.
    pub(crate) fn conjuncts(self) -> Vec<Expr> {
        match self.kind {
            ExprKind::And(parts) => parts.into_iter().flat_map(Expr::conjuncts).collect(),
            kind => vec![Expr { kind, ..self }],
        }
    }

    /// The opposite of [`Expr::conjuncts`]; `None` for no parts, which is true.
    pub(crate) fn conjunction(mut parts: Vec<Expr>) -> Option<Expr> {
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(Expr::new(ExprKind::And(parts), DataType::Boolean)),
        }
    }

    /// Whether it is the constant false.
    pub(crate) fn is_false(&self) -> bool {
        matches!(self.kind, ExprKind::Literal(Value::Boolean(false)))
    }

    /// Whether two expressions are written alike, down to the scale of a number.
    pub(crate) fn same(&self, other: &Expr) -> bool {
        self.data_type == other.data_type && same_kind(&self.kind, &other.kind)
    }
}

/// Whether a cast depends on how a session writes dates, or on its zone, or on the time.
fn asks_the_session(from: DataType, to: DataType) -> bool {
    let is_text = |of: DataType| {
        matches!(
            of,
            DataType::Text | DataType::Varchar(_) | DataType::Char(_)
        )
    };
    if from.is_record() != to.is_record() {
        // Its fields may be of any type.
        return true;
    }
    let is_zoned = |of: DataType| of == DataType::TimestampTz;
    let is_dated = |of: DataType| {
        matches!(
            of,
            DataType::Date | DataType::Timestamp | DataType::TimestampTz | DataType::Interval
        )
    };
    let (from, to) = (innermost(from), innermost(to));
    let apart = is_zoned(from) != is_zoned(to);
    let timetz = DataType::Packed(PackedType::TimeTz);
    let asks_clock = to == timetz && from != timetz || is_text(from) && to == DataType::Time;
    apart || asks_clock || is_text(from) && is_dated(to) || is_dated(from) && is_text(to)
}

fn same_kind(one: &ExprKind, two: &ExprKind) -> bool {
    use ExprKind as K;
    let all =
        |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
    match (one, two) {
        // Equal values may be shown differently (1.5 and 1.50, a month and 30 days).
        (K::Literal(a), K::Literal(b)) => format!("{a:?}") == format!("{b:?}"),
        (K::Parameter(a), K::Parameter(b)) | (K::Column(a), K::Column(b)) => a == b,
        (
            K::Call {
                overload: f,
                arguments: a,
            },
            K::Call {
                overload: g,
                arguments: b,
            },
        ) => std::ptr::eq(*f, *g) && all(a, b),
        (
            K::Host {
                function: f,
                arguments: a,
            },
            K::Host {
                function: g,
                arguments: b,
            },
        ) => Arc::ptr_eq(f, g) && all(a, b),
        (
            K::Cast { input: a, explicit },
            K::Cast {
                input: b,
                explicit: also,
            },
        ) => explicit == also && a.same(b),
        (K::And(a), K::And(b)) | (K::Or(a), K::Or(b)) | (K::Coalesce(a), K::Coalesce(b)) => {
            all(a, b)
        }
        (K::Not(a), K::Not(b)) | (K::IsNull(a), K::IsNull(b)) => a.same(b),
        (
            K::Case {
                branches: a,
                otherwise: x,
            },
            K::Case {
                branches: b,
                otherwise: y,
            },
        ) => {
            let pairs = a.len() == b.len()
                && (a.iter().zip(b)).all(|(a, b)| a.0.same(&b.0) && a.1.same(&b.1));
            pairs
                && match (x, y) {
                    (Some(x), Some(y)) => x.same(y),
                    (x, y) => x.is_none() && y.is_none(),
                }
        }
        (K::InList { input: a, list: x }, K::InList { input: b, list: y }) => {
            a.same(b) && all(x, y)
        }
        (K::Subquery(a), K::Subquery(b)) => a.same(b),
        _ => false,
    }
}
