//! Operators, and the tests that are written like operators.

use super::expr::{not, start};
use super::{Binder, Bound, Context, literal};
use crate::error::Result;
use crate::parse::refuse;
use crate::plan::{Expr, ExprKind};
use remora_storage::DataType;
use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

impl<'a> Binder<'a> {
    /// `a + b`, `a AND b` ..
    pub(super) fn binary(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::BinaryOp { left, op, right } = syntax else {
            return refuse("this operator", start(syntax));
        };
        match op {
            BinaryOperator::And | BinaryOperator::Or => return self.chain(syntax, op, cx),
            _ => {}
        }
        let Some(name) = operator_name(op) else {
            return refuse(&format!("operator {op}"), start(syntax));
        };
        let row = |side: &ast::Expr| matches!(side, ast::Expr::Tuple(_));
        if row(left) || row(right) {
            return self.compare_rows(name, left, right, cx);
        }
        let arguments = vec![self.expr(left, cx)?, self.expr(right, cx)?];
        self.call(name, arguments, start(syntax))
    }

    /// AND and OR: a chain of any length is one node, so that long ones stay flat.
    fn chain(
        &mut self,
        syntax: &'a ast::Expr,
        op: &BinaryOperator,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let mut operands = Vec::new();
        let mut rest = syntax;
        while let ast::Expr::BinaryOp {
            left,
            op: found,
            right,
        } = rest
            && found == op
        {
            operands.push(&**right);
            rest = left;
        }
        operands.push(rest);
        let what = op.to_string();
        let operands = operands
            .into_iter()
            .rev()
            .map(|operand| self.condition_of(operand, &what, cx))
            .collect::<Result<Vec<_>>>()?;
        let kind = match op {
            BinaryOperator::And => ExprKind::And(operands),
            _ => ExprKind::Or(operands),
        };
        Ok(Bound::Typed(boolean(kind)))
    }

    /// `-a`, `NOT a` ..
    pub(super) fn unary(
        &mut self,
        op: UnaryOperator,
        operand: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let name = match op {
            UnaryOperator::Not => {
                let operand = self.condition_of(operand, "NOT", cx)?;
                return Ok(Bound::Typed(not(operand)));
            }
            UnaryOperator::Minus => return self.sign("-", operand, cx),
            UnaryOperator::Plus => return self.sign("+", operand, cx),
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            other => return refuse(&format!("operator {other}"), start(operand)),
        };
        let at = start(operand);
        let operand = self.expr(operand, cx)?;
        self.call(name, vec![operand], at)
    }

    /// `-a`, `+a`. A minus before a number is part of it, before its type is chosen: `-2147483648`
    /// is an INTEGER. A sign binds tighter than `^`, which the grammar's crate has the other way
    /// round: it is moved down to the first operand of an unbracketed power.
    fn sign(
        &mut self,
        name: &'static str,
        operand: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(operand);
        if let ast::Expr::BinaryOp { left, op, right } = operand
            && operator_name(op) == Some("^")
        {
            let base = self.deeper(at, |binder| binder.sign(name, left, cx))?;
            let power = self.expr(right, cx)?;
            return self.call("^", vec![base, power], at);
        }
        if name == "-"
            && let Some(literal) = literal::negated(operand)
        {
            return literal;
        }
        let operand = self.expr(operand, cx)?;
        self.call(name, vec![operand], at)
    }

    /// `a [NOT] BETWEEN low AND high`
    pub(super) fn between(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::Between {
            expr,
            negated,
            low,
            high,
        } = syntax
        else {
            return refuse("this test", start(syntax));
        };
        let at = start(syntax);
        let input = self.expr(expr, cx)?;
        let low = self.expr(low, cx)?;
        let high = self.expr(high, cx)?;
        let above = self.call(">=", vec![input.clone(), low], at)?;
        let below = self.call("<=", vec![input, high], at)?;
        let both = vec![self.settle(above)?, self.settle(below)?];
        let within = boolean(ExprKind::And(both));
        Ok(Bound::Typed(if *negated { not(within) } else { within }))
    }

    /// `a [NOT] IN (list)`
    pub(super) fn in_list(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::InList {
            expr,
            list,
            negated,
        } = syntax
        else {
            return refuse("this test", start(syntax));
        };
        let at = start(syntax);
        let is_row = |item: &ast::Expr| matches!(item, ast::Expr::Tuple(_));
        if is_row(expr) || list.iter().any(is_row) {
            let found = self.row_in_list(expr, list, cx)?;
            return Ok(Bound::Typed(if *negated { not(found) } else { found }));
        }
        let mut operands = vec![self.expr(expr, cx)?];
        for item in list {
            operands.push(self.expr(item, cx)?);
        }
        // That the type has an equality is for the operator to say.
        self.call("=", vec![operands[0].clone(), operands[0].clone()], at)?;
        let (mut operands, _) = self.unify(operands, "IN", at)?;
        let input = Box::new(operands.remove(0));
        let found = boolean(ExprKind::InList {
            input,
            list: operands,
        });
        Ok(Bound::Typed(if *negated { not(found) } else { found }))
    }

    /// `a [NOT] LIKE b [ESCAPE c]`, `ILIKE`
    pub(super) fn like(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        use ast::Expr as E;
        let (E::Like {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        }
        | E::ILike {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        }) = syntax
        else {
            return refuse("this test", start(syntax));
        };
        let at = start(syntax);
        if *any {
            return refuse("LIKE ANY", at);
        }
        let name = match (syntax, negated) {
            (E::Like { .. }, false) => "~~",
            (E::Like { .. }, true) => "!~~",
            (_, false) => "~~*",
            (_, true) => "!~~*",
        };
        let input = self.expr(expr, cx)?;
        let mut pattern = self.expr(pattern, cx)?;
        if let Some(escape) = escape_char {
            let escape = self.expr(escape, cx)?;
            pattern = self.call("like_escape", vec![pattern, escape], at)?;
        }
        self.call(name, vec![input, pattern], at)
    }

    /// `a IS DISTINCT FROM b`: as `<>`, with NULL as a value like others.
    pub(super) fn distinct_from(
        &mut self,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(left);
        let bounds = vec![self.expr(left, cx)?, self.expr(right, cx)?];
        self.call("is_distinct_from", bounds, at)
    }
}

/// A BOOLEAN expression.
pub(super) fn boolean(kind: ExprKind) -> Expr {
    Expr {
        kind,
        data_type: DataType::Boolean,
    }
}

/// PostgreSQL's name of an operator that is a function.
pub(super) fn operator_name(op: &BinaryOperator) -> Option<&'static str> {
    use BinaryOperator as B;
    Some(match op {
        B::Plus => "+",
        B::Minus => "-",
        B::Multiply => "*",
        B::Divide => "/",
        B::Modulo => "%",
        B::StringConcat => "||",
        B::Gt => ">",
        B::Lt => "<",
        B::GtEq => ">=",
        B::LtEq => "<=",
        B::Eq => "=",
        B::NotEq => "<>",
        B::BitwiseOr => "|",
        B::BitwiseAnd => "&",
        B::PGBitwiseXor => "#",
        B::PGBitwiseShiftLeft => "<<",
        B::PGBitwiseShiftRight => ">>",
        B::PGExp | B::BitwiseXor => "^",
        B::PGRegexMatch => "~",
        B::PGRegexIMatch => "~*",
        B::PGRegexNotMatch => "!~",
        B::PGRegexNotIMatch => "!~*",
        B::PGLikeMatch => "~~",
        B::PGILikeMatch => "~~*",
        B::PGNotLikeMatch => "!~~",
        B::PGNotILikeMatch => "!~~*",
        _ => return None,
    })
}
