//! Whether conditions imply another one: how a partial index is found to have all rows that a query can want.
//!
//! What is known is a list of parts that are all true. Found are a part that is the condition itself, and what
//! comparisons of one expression with literals say of each other: `a = 3` implies `a > 2`, `a <> 5`, `a IN
//! (3, 4)` and `a IS NOT NULL`; `a > 3` implies `a > 2`. Of OR it is enough that one branch is implied, and
//! each branch has to imply. Whatever else follows is not found: then the index is not used.

use super::{Expr, ExprKind};
use remora_storage::{DataType, Value};
use std::cmp::Ordering;

/// Whether a condition is true wherever all parts are.
pub(crate) fn implies(parts: &[Expr], condition: &Expr) -> bool {
    match &condition.kind {
        ExprKind::And(all) => all.iter().all(|wanted| implies(parts, wanted)),
        ExprKind::Literal(Value::Boolean(true)) => true,
        _ => parts.iter().any(|part| follows(part, condition)),
    }
}

/// Whether what is wanted follows from one part.
fn follows(part: &Expr, wanted: &Expr) -> bool {
    if part.same(wanted) {
        return true;
    }
    match (&part.kind, &wanted.kind) {
        (ExprKind::Or(branches), _) => branches.iter().all(|branch| follows(branch, wanted)),
        (ExprKind::And(all), _) => all.iter().any(|part| follows(part, wanted)),
        (_, ExprKind::Or(branches)) => branches.iter().any(|branch| follows(part, branch)),
        (_, ExprKind::And(all)) => all.iter().all(|wanted| follows(part, wanted)),
        _ => {
            let (part, wanted) = (Test::of(part), Test::of(wanted));
            let both = part.zip(wanted);
            both.is_some_and(|(part, wanted)| {
                part.input.same(wanted.input) && part.implies(&wanted)
            })
        }
    }
}

/// What a condition says of one expression.
struct Test<'e> {
    input: &'e Expr,
    says: Says<'e>,
}

enum Says<'e> {
    OneOf(Vec<&'e Value>),
    Not(&'e Value),
    /// Above, or below, a value; whether it may be the value itself.
    Beyond(Ordering, &'e Value, bool),
    IsTrue(bool),
    /// Compared with something: so it is not NULL.
    NotNull,
}

impl<'e> Test<'e> {
    fn of(condition: &'e Expr) -> Option<Self> {
        let is_boolean = |expr: &Expr| expr.data_type == DataType::Boolean;
        let (input, says) = match &condition.kind {
            ExprKind::Call {
                overload,
                arguments,
            } => {
                let [left, right] = arguments.as_slice() else {
                    return None;
                };
                let (input, value, turned) = match (literal(left), literal(right)) {
                    (None, Some(value)) => (left, value, false),
                    (Some(value), None) => (right, value, true),
                    _ => return None,
                };
                let side = |side: Ordering| if turned { side.reverse() } else { side };
                let says = match overload.name {
                    "=" => Says::OneOf(vec![value]),
                    "<>" => Says::Not(value),
                    ">" => Says::Beyond(side(Ordering::Greater), value, false),
                    ">=" => Says::Beyond(side(Ordering::Greater), value, true),
                    "<" => Says::Beyond(side(Ordering::Less), value, false),
                    "<=" => Says::Beyond(side(Ordering::Less), value, true),
                    _ => return None,
                };
                (input, says)
            }
            ExprKind::InList { input, list } => {
                let values: Option<Vec<_>> = list.iter().map(literal).collect();
                (&**input, Says::OneOf(values?))
            }
            ExprKind::Not(inner) => match &inner.kind {
                ExprKind::IsNull(input) => (&**input, Says::NotNull),
                ExprKind::Column(_) => (&**inner, Says::IsTrue(false)),
                _ => return None,
            },
            ExprKind::Column(_) if is_boolean(condition) => (condition, Says::IsTrue(true)),
            _ => return None,
        };
        // Of CHAR, trailing blanks do not count to an operator.
        (!matches!(input.data_type, DataType::Char(_))).then_some(Self { input, says })
    }

    fn implies(&self, wanted: &Test<'_>) -> bool {
        match &self.says {
            // Nothing is equal to NULL: there are no such rows.
            Says::OneOf(values) => values.iter().all(|value| wanted.admits(value)),
            Says::IsTrue(truth) => wanted.admits(&Value::Boolean(*truth)),
            Says::Beyond(side, value, with) => match &wanted.says {
                Says::NotNull => true,
                Says::Beyond(other, limit, or_equal) => {
                    let far = compare(value, limit);
                    side == other
                        && (far == Some(*side)
                            || far.is_some_and(|far| far.is_eq() && (*or_equal || !with)))
                }
                Says::Not(other) => {
                    let far = compare(value, other);
                    far == Some(*side) || far.is_some_and(|far| far.is_eq() && !with)
                }
                _ => false,
            },
            Says::Not(_) | Says::NotNull => matches!(wanted.says, Says::NotNull),
        }
    }

    /// Whether the test is passed by a value.
    fn admits(&self, value: &Value) -> bool {
        let is = |other: &Value| compare(value, other).is_some_and(Ordering::is_eq);
        match &self.says {
            Says::OneOf(values) => values.iter().any(|other| is(other)),
            Says::Not(other) => compare(value, other).is_some_and(Ordering::is_ne),
            Says::Beyond(side, limit, or_equal) => {
                let found = compare(value, limit);
                found == Some(*side) || *or_equal && found.is_some_and(Ordering::is_eq)
            }
            Says::IsTrue(truth) => is(&Value::Boolean(*truth)),
            Says::NotNull => true,
        }
    }
}

fn literal(expr: &Expr) -> Option<&Value> {
    match &expr.kind {
        ExprKind::Literal(Value::Null) => None,
        ExprKind::Literal(value) => Some(value),
        _ => None,
    }
}

fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    one.as_ref().compare(other.as_ref())
}
