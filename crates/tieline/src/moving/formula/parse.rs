//! From tokens to the tree of a formula.
//!
//! The parser recurses with brackets, calls and signs alone, and counts how deep it is; a chain of
//! operators of one rank is one node, so that a long formula is never a deep tree.

use super::FormulaError;
use super::lex::{Placed, Token, lex};

/// Deepest nesting of brackets and calls. Rules may nest half as deep.
const DEPTH_MAX: usize = 64;

/// A formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Formula {
    /// A number as it was written.
    Number(String),
    /// A text.
    Text(String),
    /// TRUE or FALSE.
    Truth(bool),
    /// NULL.
    Null,
    /// A field or a global value.
    Name(String),
    /// A function, in capitals, with its arguments.
    Call(String, Vec<Self>),
    /// `!x` or `NOT x`.
    Not(Box<Self>),
    /// `-x`.
    Minus(Box<Self>),
    /// Operands joined by operators of one rank, from left to right.
    Chain(Box<Self>, Vec<(&'static str, Self)>),
}

/// The operators by rank, the weakest first.
const RANKS: [&[&str]; 7] = [
    &["||"],
    &["&&"],
    &["=", "==", "<>", "!="],
    &["<", "<=", ">", ">="],
    &["+", "-", "&"],
    &["*", "/"],
    &["^"],
];

/// Reads a formula.
///
/// # Errors
/// What is wrong with it, and at which character.
pub(super) fn parse(text: &str) -> Result<Formula, FormulaError> {
    let tokens = lex(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.chars().count() + 1 };
    let formula = parser.rank(0, 0)?;
    match parser.peek() {
        None => Ok(formula),
        Some(_) => Err(parser.fault("an operator or the end of the formula is expected")),
    }
}

struct Parser<'t> {
    tokens: &'t [Placed],
    next: usize,
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn fault(&self, message: impl Into<String>) -> FormulaError {
        let at = self.tokens.get(self.next).map_or(self.end, |placed| placed.at);
        FormulaError { at, message: message.into() }
    }

    /// Takes the next token if it is one of `signs`.
    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        match self.peek() {
            Some(Token::Sign(sign)) if signs.contains(sign) => {
                let sign = *sign;
                self.next += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    /// A chain of operators of this rank and above.
    fn rank(&mut self, rank: usize, depth: usize) -> Result<Formula, FormulaError> {
        let Some(signs) = RANKS.get(rank) else { return self.operand(depth) };
        let first = self.rank(rank + 1, depth)?;
        let mut rest = Vec::new();
        while let Some(sign) = self.sign(signs) {
            rest.push((sign, self.rank(rank + 1, depth)?));
        }
        Ok(if rest.is_empty() { first } else { Formula::Chain(Box::new(first), rest) })
    }

    fn operand(&mut self, depth: usize) -> Result<Formula, FormulaError> {
        if depth > DEPTH_MAX {
            return Err(self.fault(format!("the formula is nested deeper than {DEPTH_MAX} levels")));
        }
        let Some(token) = self.peek().cloned() else {
            return Err(self.fault("a value is expected and the formula ends"));
        };
        match token {
            Token::Sign("!") => {
                self.next += 1;
                Ok(Formula::Not(Box::new(self.operand(depth + 1)?)))
            }
            Token::Sign("-") => {
                self.next += 1;
                Ok(Formula::Minus(Box::new(self.operand(depth + 1)?)))
            }
            Token::Sign("+") => {
                self.next += 1;
                self.operand(depth + 1)
            }
            Token::Sign("(") => {
                self.next += 1;
                let inner = self.rank(0, depth + 1)?;
                self.close()?;
                Ok(inner)
            }
            Token::Sign(sign) => Err(self.fault(format!("a value is expected and {sign} stands there"))),
            Token::Number(number) => {
                self.next += 1;
                Ok(Formula::Number(number))
            }
            Token::Text(text) => {
                self.next += 1;
                Ok(Formula::Text(text))
            }
            Token::Name(name) => {
                self.next += 1;
                self.name(name, depth)
            }
        }
    }

    fn name(&mut self, name: String, depth: usize) -> Result<Formula, FormulaError> {
        let capitals = name.to_ascii_uppercase();
        if self.sign(&["("]).is_some() {
            return Ok(Formula::Call(capitals, self.arguments(depth)?));
        }
        Ok(match capitals.as_str() {
            "TRUE" => Formula::Truth(true),
            "FALSE" => Formula::Truth(false),
            "NULL" => Formula::Null,
            "NOT" => Formula::Not(Box::new(self.operand(depth + 1)?)),
            _ => Formula::Name(name),
        })
    }

    fn arguments(&mut self, depth: usize) -> Result<Vec<Formula>, FormulaError> {
        let mut arguments = Vec::new();
        if self.sign(&[")"]).is_some() {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.rank(0, depth + 1)?);
            if self.sign(&[","]).is_none() {
                self.close()?;
                return Ok(arguments);
            }
        }
    }

    fn close(&mut self) -> Result<(), FormulaError> {
        match self.sign(&[")"]) {
            Some(_) => Ok(()),
            None => Err(self.fault("a closing bracket is expected")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Formula {
        Formula::Name(name.to_owned())
    }

    #[test]
    fn ranks_calls_and_comments() {
        let formula = parse("A || B /* \" */ && not(C) = FALSE").unwrap();
        let Formula::Chain(first, rest) = formula else { panic!() };
        assert_eq!(*first, name("A"));
        let [("||", Formula::Chain(second, rest))] = &rest[..] else { panic!("{rest:?}") };
        assert_eq!(**second, name("B"));
        let [("&&", Formula::Chain(call, rest))] = &rest[..] else { panic!("{rest:?}") };
        assert_eq!(**call, Formula::Call("NOT".to_owned(), vec![name("C")]));
        assert_eq!(rest[..], [("=", Formula::Truth(false))]);
        assert_eq!(parse(r#" 'a\'b\\d\x' "#), Ok(Formula::Text(r"a'b\d\x".to_owned())));
        assert_eq!(parse(".5"), Ok(Formula::Number("0.5".to_owned())));
        assert_eq!(parse("Account.Owner.Name"), Ok(name("Account.Owner.Name")));
        assert_eq!(parse("Today( )"), Ok(Formula::Call("TODAY".to_owned(), vec![])));
    }

    #[test]
    fn faults_name_their_place() {
        for (text, at) in [
            ("", 1),
            ("A &&", 5),
            ("AND(A, B", 9),
            ("A B", 3),
            ("ü = 1", 1),
            ("A = \"x", 5),
            ("A /* x", 3),
            ("1.2.3", 1),
            ("A = .", 5),
            ("(A,", 3),
            ("=", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().at, at, "{text:?}");
        }
    }

    #[test]
    fn what_is_large_is_refused_and_what_is_long_is_read() {
        let inner = 1_000;
        let deep = "(".repeat(inner) + "A" + &")".repeat(inner);
        for text in [deep, "!".repeat(inner) + "A", "-".repeat(inner) + "1", "NOT ".repeat(inner) + "A"] {
            assert!(parse(&text).unwrap_err().message.contains("nested deeper"), "{text}");
        }
        assert!(parse(&"A && ".repeat(3_000)).unwrap_err().message.contains("bytes"));
        assert!(parse(&("A+".repeat(4_000) + "A")).is_ok());
    }
}
