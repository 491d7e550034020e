//! From the parser's tree to the typed tree: names, types and bounds.
//!
//! The walk recurses no deeper than the limit, because it counts before it descends; long chains
//! of `&&` and `||` are one level.

use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::FieldName;
use crate::limits::{
    EXPRESSION_COMPREHENSIONS_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_LIST_MAX, EXPRESSION_NODES_MAX,
};
use crate::reason::quoted;
use crate::schema::ObjectSchema;
use crate::value;

use super::beside::{Beside, Columns, Fact, Scope};
use super::node::{Element, Item, Node, Operation, Relation, Type};

/// What is wrong, and at which node of the parser's tree.
pub(super) struct FaultAt {
    pub(super) at: u64,
    pub(super) message: String,
}

pub(super) type Lowered = Result<(Node, Type), FaultAt>;

/// The variable of the walk that is being lowered.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) item: Type,
}

/// The state of one lowering.
pub(super) struct Lowering<'o> {
    pub(super) object: &'o ObjectSchema,
    pub(super) fields: Vec<FieldName>,
    /// What it reads besides.
    pub(super) beside: Vec<Beside>,
    pub(super) reads_time: bool,
    pub(super) variable: Option<Variable>,
    scope: Scope<'o>,
    nodes: usize,
}

pub(super) fn fault<T>(node: &IdedExpr, message: impl Into<String>) -> Result<T, FaultAt> {
    Err(FaultAt { at: node.id, message: message.into() })
}

impl<'o> Lowering<'o> {
    pub(super) fn new(object: &'o ObjectSchema, scope: Scope<'o>) -> Self {
        let (fields, beside) = (Vec::new(), Vec::new());
        Self { object, fields, beside, reads_time: false, variable: None, scope, nodes: 0 }
    }

    /// Whether it is asked of a change, which has a before.
    const fn of_change(&self) -> bool {
        matches!(self.scope, Scope::Change)
    }

    /// The typed node of `node`, which is `depth` levels below the root.
    pub(super) fn lower(&mut self, node: &IdedExpr, depth: usize) -> Lowered {
        self.nodes += 1;
        if self.nodes > EXPRESSION_NODES_MAX {
            return fault(
                node,
                format!("the expression has more than {EXPRESSION_NODES_MAX} parts; split it"),
            );
        }
        if depth > EXPRESSION_DEPTH_MAX {
            return fault(
                node,
                format!("the expression is nested deeper than {EXPRESSION_DEPTH_MAX} levels; split it"),
            );
        }
        match &node.expr {
            Expr::Literal(literal) => lower_literal(node, literal),
            Expr::Ident(name) => self.lower_name(node, name),
            Expr::List(list) => self.lower_list(node, &list.elements, depth),
            Expr::Call(call) => self.lower_call(node, call, depth),
            Expr::Select(select) if self.of_change() && is_old(&select.operand) => {
                self.lower_old(node, &select.field)
            }
            Expr::Select(select) => match (self.scope, column(node)) {
                (Scope::Row(columns), Some(name)) => self.lower_column(node, columns, &name),
                _ => {
                    let field = quoted(&select.field);
                    fault(node, format!("there is no {field}: a field is named alone, without its object"))
                }
            },
            Expr::Map(_) | Expr::Struct(_) => {
                fault(node, "maps and messages are not supported; use fields and lists")
            }
            Expr::Comprehension(_) | Expr::Unspecified => fault(node, "this form of CEL is not supported"),
        }
    }

    fn lower_name(&mut self, node: &IdedExpr, name: &str) -> Lowered {
        if let Some(variable) = self.variable.as_ref().filter(|variable| variable.name == name) {
            return Ok((Node::Variable, variable.item));
        }
        if self.object.field(name).is_none()
            && self.of_change()
            && let Some(fact) = Fact::named(name)
        {
            return Ok((self.beside(Beside::Fact(fact)), fact.kind()));
        }
        let (index, kind) = self.lower_field(node, name)?;
        Ok((Node::Field(index), kind))
    }

    /// The place of a field among those that are read, and its type.
    fn lower_field(&mut self, node: &IdedExpr, name: &str) -> Result<(usize, Type), FaultAt> {
        let Some(field) = self.object.field(name) else {
            let meant = self.object.suggest(name).map_or_else(
                || "add the field to the object, or put a text in quotes".to_owned(),
                |known| format!("did you mean {known}?"),
            );
            return fault(node, format!("{} has no field {}; {meant}", self.object.name, quoted(name)));
        };
        let Some(kind) = Type::of_field(field.field_type) else {
            return fault(
                node,
                format!("{name} is of a type that this version does not know; upgrade Tieline"),
            );
        };
        let index = self.fields.iter().position(|known| *known == field.name).unwrap_or_else(|| {
            self.fields.push(field.name.clone());
            self.fields.len() - 1
        });
        Ok((index, kind))
    }

    /// What a field was before the change, as `old.Status`.
    fn lower_old(&mut self, node: &IdedExpr, name: &str) -> Lowered {
        let (index, kind) = self.lower_field(node, name)?;
        let old = self.fields.get(index).cloned().map(Beside::Old);
        Ok((old.map_or(Node::Constant(Item::Null), |old| self.beside(old)), kind))
    }

    /// Whether a field has another value than before the change, as `changed(Status)`.
    pub(super) fn lower_changed(&mut self, node: &IdedExpr, argument: &IdedExpr) -> Lowered {
        let name = match &argument.expr {
            Expr::Ident(name) => name.as_str(),
            Expr::Literal(LiteralValue::String(text)) => text.inner(),
            _ => return fault(argument, "changed needs the name of a field, as changed(Status)"),
        };
        if !self.of_change() {
            return fault(node, "changed is not known here: there is no change that it could be asked of");
        }
        let (index, _) = self.lower_field(argument, name)?;
        let (old, _) = self.lower_old(argument, name)?;
        Ok((Node::Compare(Relation::NotEqual, Box::new([Node::Field(index), old])), Type::Boolean))
    }

    /// A column of the row that is no field of its record, as `share.status`.
    fn lower_column(&mut self, node: &IdedExpr, columns: &dyn Columns, name: &str) -> Lowered {
        let known = columns.column(name).or_else(|why| fault(node, why))?;
        let Some(kind) = Type::of_field(known.field_type) else {
            return fault(
                node,
                format!("{name} is of a type that this version does not know; upgrade Tieline"),
            );
        };
        Ok((self.beside(Beside::Column(name.into())), kind))
    }

    fn beside(&mut self, beside: Beside) -> Node {
        let at = self.beside.iter().position(|other| *other == beside).unwrap_or_else(|| {
            self.beside.push(beside);
            self.beside.len() - 1
        });
        Node::Beside(at)
    }

    fn lower_list(&mut self, node: &IdedExpr, elements: &[IdedExpr], depth: usize) -> Lowered {
        if elements.len() > EXPRESSION_LIST_MAX {
            return fault(node, format!("the list has more than {EXPRESSION_LIST_MAX} values"));
        }
        let mut joined = Element::None;
        let mut nodes = Vec::with_capacity(elements.len());
        for element in elements {
            let (lowered, kind) = self.lower(element, depth + 1)?;
            let Some(kind) = kind.element() else {
                return fault(element, format!("a list cannot hold {}", kind.name()));
            };
            if joined != Element::None && joined != kind {
                let message = format!(
                    "the list has {} after {}; keep one type",
                    kind.item().name(),
                    joined.item().name()
                );
                return fault(element, message);
            }
            joined = kind;
            nodes.push(lowered);
        }
        Ok((Node::List(nodes), Type::List(joined)))
    }

    fn lower_call(&mut self, node: &IdedExpr, call: &CallExpr, depth: usize) -> Lowered {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR, None, [_, _]) => self.lower_chain(node, name, depth),
            (op::LOGICAL_NOT, None, [operand]) => {
                let operand = self.lower_as(operand, Type::Boolean, "!", depth)?;
                Ok((Node::Not(Box::new(operand)), Type::Boolean))
            }
            (op::NEGATE, None, [operand]) => {
                let operand = self.lower_as(operand, Type::Number, "-", depth)?;
                Ok((Node::Negate(Box::new(operand)), Type::Number))
            }
            (op::CONDITIONAL, None, [condition, then, otherwise]) => {
                let condition = self.lower_as(condition, Type::Boolean, "?:", depth)?;
                let (first, first_type) = self.lower(then, depth + 1)?;
                let (second, second_type) = self.lower(otherwise, depth + 1)?;
                let Some(joined) = first_type.join(second_type) else {
                    let (a, b) = (first_type.name(), second_type.name());
                    return fault(
                        otherwise,
                        format!("one branch of ?: gives {a}, the other {b}; make them alike"),
                    );
                };
                Ok((Node::If(Box::new([condition, first, second])), joined))
            }
            (op::IN, None, [item, list]) => self.lower_in(item, list, depth),
            (_, None, [left, right]) if relation(name).is_some() => {
                let relation = relation(name).unwrap_or(Relation::Equal);
                self.lower_compare(node, relation, left, right, depth)
            }
            (_, None, [left, right]) if operation(name).is_some() => {
                let operation = operation(name).unwrap_or(Operation::Add);
                self.lower_arithmetic(node, operation, left, right, depth)
            }
            (op::INDEX, ..) => {
                fault(node, "a value cannot be taken out of a list by number; use exists or in")
            }
            (_, target, arguments) => self.lower_function(node, name, target, arguments, depth),
        }
    }

    /// Lowers an operand that has to be of one type.
    pub(super) fn lower_as(
        &mut self,
        operand: &IdedExpr,
        wanted: Type,
        by: &str,
        depth: usize,
    ) -> Result<Node, FaultAt> {
        let (lowered, kind) = self.lower(operand, depth + 1)?;
        if kind == wanted || kind == Type::Null {
            return Ok(lowered);
        }
        fault(operand, format!("{by} needs {} and got {}", wanted.name(), kind.name()))
    }

    /// A chain of one logical operator, however the parser has nested it, as one node.
    fn lower_chain(&mut self, node: &IdedExpr, operator: &str, depth: usize) -> Lowered {
        let mut operands = Vec::new();
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            match &next.expr {
                Expr::Call(call) if call.func_name == operator && call.target.is_none() => {
                    open.extend(call.args.iter().rev());
                }
                _ => operands.push(next),
            }
        }
        let by = if operator == op::LOGICAL_AND { "&&" } else { "||" };
        let lowered = operands.into_iter().map(|operand| self.lower_as(operand, Type::Boolean, by, depth));
        let nodes = lowered.collect::<Result<Vec<_>, _>>()?;
        Ok((if by == "&&" { Node::And(nodes) } else { Node::Or(nodes) }, Type::Boolean))
    }

    fn lower_in(&mut self, item: &IdedExpr, list: &IdedExpr, depth: usize) -> Lowered {
        let (lowered_item, item_type) = self.lower(item, depth + 1)?;
        let (lowered_list, list_type) = self.lower(list, depth + 1)?;
        let Type::List(element) = list_type else {
            return fault(list, format!("in needs a list on its right and got {}", list_type.name()));
        };
        if element != Element::None && item_type.join(element.item()).is_none() {
            let (a, b) = (item_type.name(), element.item().name());
            return fault(item, format!("in looks for {a} in a list of which each is {b}"));
        }
        if let Expr::List(list) = &list.expr {
            list.elements.iter().try_for_each(|element| self.check_value(item, element))?;
        }
        self.check_value(list, item)?;
        Ok((Node::In(Box::new([lowered_item, lowered_list])), Type::Boolean))
    }

    fn lower_compare(
        &mut self,
        node: &IdedExpr,
        relation: Relation,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
    ) -> Lowered {
        let (lowered_left, left_type) = self.lower(left, depth + 1)?;
        let (lowered_right, right_type) = self.lower(right, depth + 1)?;
        let Some(joined) = left_type.join(right_type) else {
            let (a, b) = (left_type.name(), right_type.name());
            return fault(node, format!("{a} is compared with {b}; {}", remedy(left_type, right_type)));
        };
        let is_equality = matches!(relation, Relation::Equal | Relation::NotEqual);
        let is_ordered = matches!(joined, Type::Number | Type::Text | Type::Date | Type::Moment | Type::Null);
        if !is_equality && !is_ordered {
            return fault(node, format!("{} has no order; compare it with == or !=", joined.name()));
        }
        if is_equality {
            for (field, literal) in [(left, right), (right, left)] {
                self.check_value(field, literal)?;
            }
        }
        Ok((Node::Compare(relation, Box::new([lowered_left, lowered_right])), Type::Boolean))
    }

    fn lower_arithmetic(
        &mut self,
        node: &IdedExpr,
        operation: Operation,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
    ) -> Lowered {
        use Operation as O;
        use Type as T;
        let (lowered_left, a) = self.lower(left, depth + 1)?;
        let (lowered_right, b) = self.lower(right, depth + 1)?;
        let result = match (operation, a, b) {
            (_, T::Number | T::Null, T::Number) | (_, T::Number, T::Null) => T::Number,
            (O::Add, T::Text, T::Text) if self.variable.is_some() => {
                return fault(node, "texts cannot be joined inside a walk over a list; join them outside");
            }
            (O::Add, T::Text, T::Text) => T::Text,
            (O::Add, T::Date, T::Number)
            | (O::Add, T::Number, T::Date)
            | (O::Subtract, T::Date, T::Number) => T::Date,
            (O::Subtract, T::Date, T::Date) => T::Number,
            _ => {
                let (a, b) = (a.name(), b.name());
                let sign = operation.sign();
                return fault(
                    node,
                    format!("{sign} cannot take {a} and {b}; convert one of them, as string(x) does"),
                );
            }
        };
        Ok((Node::Arithmetic(operation, Box::new([lowered_left, lowered_right])), result))
    }

    /// Opens a walk over a list, unless one is open already.
    pub(super) fn open_walk(&mut self, node: &IdedExpr, variable: Variable) -> Result<(), FaultAt> {
        if self.variable.is_some() {
            let max = EXPRESSION_COMPREHENSIONS_MAX;
            return fault(node, format!("a walk over a list is inside another; only {max} level is allowed"));
        }
        if self.object.field(variable.name.as_str()).is_some() {
            return fault(
                node,
                format!("the variable {} is also a field; choose another name", variable.name),
            );
        }
        self.variable = Some(variable);
        Ok(())
    }

    /// A literal that is compared with a restricted picklist, or with a column of few values, is one of them.
    fn check_value(&self, named: &IdedExpr, literal: &IdedExpr) -> Result<(), FaultAt> {
        let Expr::Literal(LiteralValue::String(text)) = &literal.expr else { return Ok(()) };
        let text = text.inner();
        let name = match &named.expr {
            Expr::Ident(name) => name,
            Expr::Select(select) if self.of_change() && is_old(&select.operand) => &select.field,
            Expr::Select(_) => {
                let (Scope::Row(columns), Some(name)) = (self.scope, column(named)) else { return Ok(()) };
                let values = columns.column(&name).map(|column| column.values).unwrap_or_default();
                let values: Vec<&str> = values.iter().map(SmolStr::as_str).collect();
                return if values.is_empty() { Ok(()) } else { known_value(&name, &values, text, literal) };
            }
            _ => return Ok(()),
        };
        let field = self.object.field(name.as_str());
        match field.filter(|field| field.field_type.is_picklist() && field.restricted) {
            Some(field) => {
                let values: Vec<&str> = field.values.iter().map(|known| known.value.as_str()).collect();
                known_value(name, &values, text, literal)
            }
            None => Ok(()),
        }
    }
}

/// The name of the column that a node names, as `share.status`.
fn column(node: &IdedExpr) -> Option<String> {
    let Expr::Select(select) = &node.expr else { return None };
    let Expr::Ident(of) = &select.operand.expr else { return None };
    Some(format!("{of}.{}", select.field))
}

/// Whether a node is the word that stands for what the record was.
fn is_old(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name == "old")
}

impl Operation {
    const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// Refuses a text that is none of the values that something has.
fn known_value(name: &str, values: &[&str], text: &str, node: &IdedExpr) -> Result<(), FaultAt> {
    if text.is_empty() || values.contains(&text) {
        return Ok(());
    }
    let near = crate::suggest::nearest(text, values.iter(), |known| known);
    let meant = near.map_or_else(
        || "use a value of its list".to_owned(),
        |known| format!("did you mean {}?", quoted(known)),
    );
    fault(node, format!("{name} never has the value {}; {meant}", quoted(text)))
}

fn lower_literal(node: &IdedExpr, literal: &LiteralValue) -> Lowered {
    let number = |number: Decimal| Ok((Node::Constant(Item::Number(number)), Type::Number));
    match literal {
        LiteralValue::Null => Ok((Node::Constant(Item::Null), Type::Null)),
        LiteralValue::Boolean(truth) => Ok((Node::Constant(Item::Boolean(*truth.inner())), Type::Boolean)),
        LiteralValue::Int(integer) => number(Decimal::from(*integer.inner())),
        LiteralValue::UInt(integer) => number(Decimal::from(*integer.inner())),
        LiteralValue::Double(float) => match exact(*float.inner()) {
            Some(decimal) => number(decimal),
            None => fault(node, "a number of more than 15 digits is not read exactly; write dec(\"…\")"),
        },
        LiteralValue::String(text) => {
            Ok((Node::Constant(Item::Text(text.inner().to_owned().into())), Type::Text))
        }
        LiteralValue::Bytes(_) => fault(node, "bytes are not supported; write a text"),
    }
}

/// The decimal that was written where the parser has read binary floating point. Up to 15 digits
/// survive that way there and back; more are not accepted.
fn exact(float: f64) -> Option<Decimal> {
    const DIGITS: u32 = 15;
    let decimal = value::parse_decimal(&format!("{float}")).ok()?;
    let digits = decimal.normalize().mantissa().unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    (digits <= DIGITS).then_some(decimal)
}

fn remedy(left: Type, right: Type) -> &'static str {
    match (left, right) {
        (Type::Date, Type::Moment) | (Type::Moment, Type::Date) => "take the day of the moment with date(x)",
        (Type::Date, Type::Text) | (Type::Text, Type::Date) => "write the day as date(\"2026-01-31\")",
        (Type::Moment, Type::Text) | (Type::Text, Type::Moment) => {
            "write the moment as timestamp(\"2026-01-31T09:00:00Z\")"
        }
        (Type::List(_), _) | (_, Type::List(_)) => "ask for a value of a list with in or exists",
        _ => "compare values of one type",
    }
}

fn relation(operator: &str) -> Option<Relation> {
    Some(match operator {
        op::EQUALS => Relation::Equal,
        op::NOT_EQUALS => Relation::NotEqual,
        op::LESS => Relation::Less,
        op::LESS_EQUALS => Relation::LessOrEqual,
        op::GREATER => Relation::Greater,
        op::GREATER_EQUALS => Relation::GreaterOrEqual,
        _ => return None,
    })
}

fn operation(operator: &str) -> Option<Operation> {
    Some(match operator {
        op::ADD => Operation::Add,
        op::SUBSTRACT => Operation::Subtract,
        op::MULTIPLY => Operation::Multiply,
        op::DIVIDE => Operation::Divide,
        op::MODULO => Operation::Remainder,
        _ => return None,
    })
}
