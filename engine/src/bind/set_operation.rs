//! UNION, INTERSECT and EXCEPT, with and without ALL.
//!
//! The grammar has made a tree of them in which INTERSECT binds tighter; along its left edge it is walked
//! in a loop. Neighbouring UNION ALLs make one node.

use super::coerce::check_equality;
use super::query::{Output, Relation};
use super::{Binder, Bound, coerce};
use crate::error::{Error, Result, state};
use crate::function::cast::common_type;
use crate::parse::{refuse, too_complex};
use crate::plan::Expr;
use crate::plan::collation::Derivation;
use crate::plan::logical::Logical;
use crate::plan::set_operation::{SetOperation, SetOperator};
use remora_storage::DataType;
use sqlparser::ast::{self, SetExpr, SetQuantifier};

/// What is done with the queries before and the next one.
struct Step<'a> {
    /// `None` is UNION.
    operator: Option<SetOperator>,
    all: bool,
    right: &'a SetExpr,
}

impl Step<'_> {
    /// Whether it makes one node with the step before it.
    fn joins(&self, before: &Self) -> bool {
        self.operator.is_none() && before.operator.is_none() && self.all == before.all
    }
}

/// Operations of a chain that make a node each. Later walks recurse as deep.
const NESTED_MAX: usize = 150;

impl<'a> Binder<'a> {
    /// A chain of set operations, from left to right.
    pub(super) fn set_operations(&mut self, body: &'a SetExpr) -> Result<Relation> {
        let (first, steps) = chain(body)?;
        let mut nested = steps.windows(2).filter(|pair| !pair[0].joins(&pair[1]));
        if nested.nth(NESTED_MAX).is_some() {
            return Err(too_complex(None));
        }
        let mut branches = vec![self.branch(first)?];
        let mut steps = steps.into_iter().rev().peekable();
        while let Some(step) = steps.next() {
            let right = self.branch(step.right)?;
            let Some(operator) = step.operator else {
                branches.push(right);
                // What is once in the end need not be once before.
                let is_union = |next: &Step<'_>| next.operator.is_none() && !next.all;
                if !step.all && !steps.peek().is_some_and(is_union) {
                    let mut union = self.union_all(std::mem::take(&mut branches))?;
                    for output in &union.outputs {
                        check_equality(output.data_type, None)?;
                    }
                    let columns: Vec<usize> = numbers(&union.outputs);
                    union.plan = self.distinct(union.plan, &columns)?;
                    branches.push(union);
                }
                continue;
            };
            let left = self.union_all(std::mem::take(&mut branches))?;
            branches.push(self.set_operation(operator, step.all, left, right)?);
        }
        self.union_all(branches)
    }

    fn branch(&mut self, body: &'a SetExpr) -> Result<Relation> {
        self.deeper(None, |binder| binder.set_expr(body, &[]))
    }

    /// All rows of all branches; of one, the branch itself.
    fn union_all(&mut self, mut branches: Vec<Relation>) -> Result<Relation> {
        if branches.len() == 1 {
            return Ok(branches.remove(0));
        }
        let (branches, outputs) = self.alike(branches, "UNION")?;
        let inputs = branches.into_iter().map(|branch| {
            let source = branch.outputs.iter().map(|output| output.column).collect();
            (branch.plan, source)
        });
        Ok(Relation::new(
            Logical::UnionAll {
                inputs: inputs.collect(),
                columns: outputs.iter().map(|output| output.column).collect(),
            },
            outputs,
        ))
    }

    fn set_operation(
        &mut self,
        operator: SetOperator,
        all: bool,
        left: Relation,
        right: Relation,
    ) -> Result<Relation> {
        match operator {
            SetOperator::Intersect if !all => {}
            SetOperator::Except if !all => self.refuse_own_name(&right.plan, "EXCEPT")?,
            _ => {
                self.refuse_own_name(&left.plan, operator.name())?;
                self.refuse_own_name(&right.plan, operator.name())?;
            }
        }
        let (branches, outputs) = self.alike(vec![left, right], operator.name())?;
        for output in &outputs {
            check_equality(output.data_type, None)?;
        }
        let mut branches = branches.into_iter();
        let (Some(left), Some(right)) = (branches.next(), branches.next()) else {
            unreachable!("as many branches come back as were given");
        };
        let columns = numbers(&outputs);
        if self.has_keyed_column(columns.iter().copied())? {
            let plan = self.keyed_set_operation((operator, all), left, right, &columns)?;
            return Ok(Relation::new(plan, outputs));
        }
        let input = |branch: Relation| {
            let source = numbers(&branch.outputs);
            (Box::new(branch.plan), source)
        };
        let (left, right) = (input(left), input(right));
        Ok(Relation::new(
            Logical::SetOperation(SetOperation {
                operator,
                all,
                left,
                right,
                columns,
            }),
            outputs,
        ))
    }

    /// The branches with columns of the same types, and new columns of these, called as the first's.
    fn alike(
        &mut self,
        branches: Vec<Relation>,
        what: &str,
    ) -> Result<(Vec<Relation>, Vec<Output>)> {
        let width = branches[0].outputs.len();
        if branches.iter().any(|branch| branch.outputs.len() != width) {
            let message = format!("each {what} query must have the same number of columns");
            return Err(Error::new(state::SYNTAX_ERROR, message));
        }
        let mut types = Vec::with_capacity(width);
        for position in 0..width {
            let column: Vec<_> = branches
                .iter()
                .map(|branch| &branch.outputs[position])
                .map(|output| output.unknown.is_none().then_some(output.data_type))
                .collect();
            types.push(common_type(&column, what)?);
        }
        let outputs = (0..width).map(|position| {
            let columns = branches
                .iter()
                .map(|branch| branch.outputs[position].column);
            let found = columns.map(|column| self.columns.collations.of_branch(column));
            let found = found.fold(Derivation::Default, Derivation::and);
            let (output, to) = (&branches[0].outputs[position], types[position]);
            let column = self.columns.add(&output.name, to);
            self.columns.collations.set(column, found);
            Output::new(column, output.name.clone(), to)
        });
        let outputs = outputs.collect();
        let branches = branches.into_iter();
        let branches = branches.map(|branch| self.with_types(branch, &types));
        Ok((branches.collect::<Result<_>>()?, outputs))
    }

    /// The same query with outputs of these types.
    pub(super) fn with_types(
        &mut self,
        relation: Relation,
        types: &[DataType],
    ) -> Result<Relation> {
        let fits = (relation.outputs.iter().zip(types))
            .all(|(output, to)| output.data_type == *to && output.unknown.is_none());
        if fits {
            return Ok(relation);
        }
        let mut exprs = Vec::new();
        let mut outputs = Vec::new();
        for (output, to) in relation.outputs.into_iter().zip(types) {
            let expr = match output.unknown {
                Some(unknown) => self.coerce(Bound::Unknown(unknown), *to)?,
                None => coerce::cast(Expr::column(output.column, output.data_type), *to, false),
            };
            let column = self.columns.add_like(&output.name, *to, output.column);
            exprs.push((column, expr));
            outputs.push(Output::new(column, output.name, *to));
        }
        Ok(Relation::new(
            Logical::Project {
                input: Box::new(relation.plan),
                exprs,
            },
            outputs,
        ))
    }
}

/// The columns of outputs.
fn numbers(outputs: &[Output]) -> Vec<usize> {
    outputs.iter().map(|output| output.column).collect()
}

/// The left edge of a tree of set operations: what stands at its end, and the steps, the last one first.
fn chain(body: &SetExpr) -> Result<(&SetExpr, Vec<Step<'_>>)> {
    let mut steps = Vec::new();
    let mut rest = body;
    while let SetExpr::SetOperation {
        left,
        op,
        set_quantifier,
        right,
    } = rest
    {
        let operator = match op {
            ast::SetOperator::Union => None,
            ast::SetOperator::Intersect => Some(SetOperator::Intersect),
            ast::SetOperator::Except => Some(SetOperator::Except),
            ast::SetOperator::Minus => return refuse("MINUS", None),
        };
        let all = match set_quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            _ => return refuse(&format!("{op} BY NAME"), None),
        };
        steps.push(Step {
            operator,
            all,
            right,
        });
        rest = left;
    }
    Ok((rest, steps))
}
