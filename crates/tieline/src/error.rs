//! What went wrong, as a person and a script are told it.
//!
//! Every command fails with one [`CliError`]: a sentence, the chain of its causes, the reasons per
//! field, a hint, and a [`Kind`] that decides the exit code. Nothing else in this program may end
//! the process. The exit codes are part of the interface: `main` documents them in `--help`, and a
//! number is never given another meaning.

use std::error::Error;
use std::fmt;
use std::io;

use serde::Serialize;
use serde_json::{Value as Json, json};
use tieline_core::reason::Reason;

/// Longest line of an excerpt.
const EXCERPT_CHARS_MAX: usize = 160;

/// How a command ended, for its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Something that should not happen: a disk, a defect.
    Internal,
    /// The command line does not make sense.
    Usage,
    /// What was asked for is not valid, or a part of it was refused.
    Refused,
    /// It names something that is not there.
    NotFound,
    /// It does not fit the present state.
    Conflict,
    /// The user may not, or the token is wrong.
    NoPermission,
    /// No daemon answers, or it cannot take anything now.
    NotReachable,
    /// There is something to change: what was asked for, and no error.
    Differs,
    /// Whoever read the output has closed it. That is their right, and no error.
    ClosedPipe,
}

impl Kind {
    /// The exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::NoPermission => 6,
            Self::NotReachable => 7,
            Self::Differs => 8,
        }
    }

    /// The kind of an HTTP status that is not a success.
    const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::NoPermission,
            404 => Self::NotFound,
            409 => Self::Conflict,
            400..500 => Self::Refused,
            502..=504 | 507 => Self::NotReachable,
            _ => Self::Internal,
        }
    }
}

/// The exit codes as `--help` shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  internal error
  2  the command line does not make sense
  3  refused: something is not valid, or some rows of an import were refused
  4  not found
  5  conflict with the present state
  6  no permission, or a wrong token
  7  the daemon cannot be reached, or takes nothing now
  8  tieline plan: there is something to change; tieline check: something will go wrong";

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CliError {
    /// What the exit code is.
    pub(crate) kind: Kind,
    told: Box<Told>,
}

/// What is told of a failure.
#[derive(Debug, Default)]
struct Told {
    /// The stable code of the daemon, if the daemon said no.
    code: Option<String>,
    /// One sentence.
    message: String,
    /// Why, from the nearest cause to the first.
    causes: Vec<String>,
    /// What is wrong with single fields.
    reasons: Vec<Reason>,
    /// Where in the file or body, from 1.
    place: Option<(usize, usize)>,
    /// What stands there.
    excerpt: Option<String>,
    /// What to do.
    hint: Option<String>,
}

/// What every fallible function of this program returns.
pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;

impl CliError {
    /// A failure of `kind`, in one sentence.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, told: Box::new(Told { message: message.into(), ..Told::default() }) }
    }

    /// A command line that does not make sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Something that is not valid.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// A failure whose first sentence and causes are those of `error`.
    pub(crate) fn from_error(kind: Kind, error: &dyn Error) -> Self {
        let mut failure = Self::new(kind, error.to_string());
        failure.told.causes = causes(error);
        failure
    }

    /// This failure, caused by `error`.
    pub(crate) fn caused_by(mut self, error: &dyn Error) -> Self {
        self.told.causes.push(error.to_string());
        self.told.causes.extend(causes(error));
        self
    }

    /// This failure, with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.told.hint = Some(hint.into());
        self
    }

    /// This failure, and what else is to be known.
    pub(crate) fn also(mut self, more: impl AsRef<str>) -> Self {
        self.told.message = format!("{}; {}", self.told.message, more.as_ref());
        self
    }

    /// This failure, said of one of several things.
    pub(crate) fn about(mut self, thing: &str) -> Self {
        self.told.message = format!("{thing}: {}", self.told.message);
        self
    }

    /// This failure, with the line of `text` that it names, and a mark under its place.
    pub(crate) fn excerpt(mut self, text: &str) -> Self {
        let shown = self.told.place.and_then(|(line, column)| {
            // A line that fills the screen shows nobody anything.
            let content = text
                .lines()
                .nth(line.checked_sub(1)?)
                .filter(|line| line.chars().count() <= EXCERPT_CHARS_MAX)?;
            // What stands before the mark keeps its width: tabs stay tabs.
            let before = content.chars().take(column.checked_sub(1)?);
            let before: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
            Some(format!("  {line} | {content}\n  {} | {before}^", " ".repeat(line.to_string().len())))
        });
        self.told.excerpt = shown;
        self
    }

    /// What the daemon answered instead of a success.
    pub(crate) fn from_answer(status: u16, body: &[u8]) -> Self {
        let kind = Kind::of_status(status);
        let Ok(problem) = serde_json::from_slice::<Json>(body) else {
            let shown: String = String::from_utf8_lossy(body).chars().take(200).collect();
            return Self::new(kind, format!("The server answered with status {status}: {}", shown.trim()))
                .hint("This does not look like a Tieline daemon; check --api or the http.listen setting");
        };
        let text = |key: &str| problem.get(key).and_then(Json::as_str).map(str::to_owned);
        let detail = text("detail").or_else(|| text("title"));
        let number = |key: &str| usize::try_from(problem.get(key)?.as_u64()?).ok();
        let at = number("line").zip(number("column"));
        let place = match at {
            // Most details name the place themselves.
            Some((line, column)) if !detail.as_ref().is_some_and(|text| text.contains("line ")) => {
                format!(" (line {line}, column {column})")
            }
            _ => String::new(),
        };
        let reasons: Vec<Reason> = problem
            .get("reasons")
            .and_then(|reasons| serde_json::from_value(reasons.clone()).ok())
            .unwrap_or_default();
        // The detail of a refused record is the sentences of its reasons, which follow one by one.
        let repeats = reasons.len() > 1
            && detail.as_ref().is_some_and(|text| reasons.iter().all(|r| text.contains(&r.message)));
        let message = if repeats { text("title") } else { detail };
        let message = message.unwrap_or_else(|| format!("The daemon answered with status {status}"));
        let hint =
            (status == 401).then(|| "Pass a token of this org with --token-file or TIELINE_TOKEN".to_owned());
        let message = message + &place;
        let told = Told { code: text("code"), message, reasons, place: at, hint, ..Told::default() };
        Self { kind, told: Box::new(told) }
    }

    /// The failure for machines.
    pub(crate) fn to_json(&self) -> Json {
        let Told { code, message, causes, reasons, hint, .. } = &*self.told;
        json!({ "error": {
            "kind": self.kind, "exit_code": self.kind.exit_code(), "code": code, "message": message,
            "causes": causes, "reasons": reasons, "hint": hint,
        } })
    }

    /// The sentence, without causes, reasons and hint.
    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.told.message
    }
}

impl fmt::Display for CliError {
    /// The failure for people, without the word before it: sentence, causes, reasons, hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told.message)?;
        for cause in &self.told.causes {
            write!(f, "\n  because: {cause}")?;
        }
        for reason in self.told.reasons.iter().filter(|reason| reason.message != self.told.message) {
            match (&reason.field, &reason.rule) {
                (Some(field), Some(rule)) => write!(f, "\n  {field} (rule {rule}): {}", reason.message)?,
                (Some(field), None) => write!(f, "\n  {field}: {}", reason.message)?,
                (None, Some(rule)) => write!(f, "\n  rule {rule}: {}", reason.message)?,
                (None, None) => write!(f, "\n  {}", reason.message)?,
            }
        }
        self.told.excerpt.iter().try_for_each(|excerpt| write!(f, "\n{excerpt}"))?;
        self.told.hint.iter().try_for_each(|hint| write!(f, "\nHint: {hint}"))
    }
}

impl From<io::Error> for CliError {
    /// An error of standard output: everything else says which file it was about.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::ClosedPipe, "The output was closed");
        }
        Self::new(Kind::Internal, "The output cannot be written").caused_by(&error)
    }
}

fn causes(error: &dyn Error) -> Vec<String> {
    std::iter::successors(error.source(), |cause| (**cause).source()).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_exit_codes() {
        for (status, code) in [
            (400, 3),
            (401, 6),
            (403, 6),
            (404, 4),
            (405, 3),
            (409, 5),
            (413, 3),
            (415, 3),
            (422, 3),
            (429, 3),
            (500, 1),
            (503, 7),
            (507, 7),
        ] {
            assert_eq!(CliError::from_answer(status, b"{}").kind.exit_code(), code, "{status}");
        }
    }

    #[test]
    fn the_place_in_a_file_is_shown() {
        let body =
            br#"{"status":422,"code":"bad_object_file","detail":"line 2, column 4: no","line":2,"column":4}"#;
        let shown = |text: &str| CliError::from_answer(422, body).excerpt(text).to_string();
        assert_eq!(shown("a\n\tb = x\n"), "line 2, column 4: no\n  2 | \tb = x\n    | \t  ^");
        assert_eq!(shown("a"), "line 2, column 4: no");
        assert_eq!(shown(&format!("a\n{}", "x".repeat(1_000))), "line 2, column 4: no");
    }

    #[test]
    fn help_names_every_exit_code_once() {
        for kind in [
            Kind::ClosedPipe,
            Kind::Internal,
            Kind::Usage,
            Kind::Refused,
            Kind::NotFound,
            Kind::Conflict,
            Kind::NoPermission,
            Kind::NotReachable,
            Kind::Differs,
        ] {
            let start = format!("\n  {}  ", kind.exit_code());
            assert_eq!(EXIT_CODES.matches(&start).count(), 1, "{kind:?}");
        }
    }

    #[test]
    fn a_refusal_shows_each_reason_once() {
        let one = br#"{"title":"Record refused","status":422,"code":"record_refused","detail":"Email is bad",
            "reasons":[{"code":"bad_email","field":"Email","message":"Email is bad"}]}"#;
        let error = CliError::from_answer(422, one);
        assert_eq!(error.to_string(), "Email is bad");
        assert_eq!(error.to_json()["error"]["reasons"][0]["field"], "Email");
        let two = br#"{"title":"Record refused","status":422,"code":"record_refused","detail":"Email is bad; too old",
            "reasons":[{"code":"bad_email","field":"Email","message":"Email is bad"},
                       {"code":"rule_refused","rule":"Age","message":"too old"}]}"#;
        let error = CliError::from_answer(422, two);
        assert_eq!(error.to_string(), "Record refused\n  Email: Email is bad\n  rule Age: too old");
        assert_eq!(error.to_json()["error"]["code"], "record_refused");
        assert_eq!(error.to_json()["error"]["reasons"][1]["rule"], "Age");
    }

    #[test]
    fn places_hints_and_strangers_are_shown() {
        let error = CliError::from_answer(400, br#"{"detail":"no JSON","line":2,"column":7}"#);
        assert_eq!(error.to_string(), "no JSON (line 2, column 7)");
        let error = CliError::from_answer(401, br#"{"title":"Unauthorized"}"#);
        assert!(error.to_string().starts_with("Unauthorized\nHint: Pass a token"), "{error}");
        let error = CliError::from_answer(502, b"<html>proxy</html>").to_string();
        assert!(error.starts_with("The server answered with status 502: <html>"), "{error}");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(CliError::from(io::Error::from(io::ErrorKind::BrokenPipe)).kind.exit_code(), 0);
        let error = CliError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(error.kind.exit_code(), 1);
        assert!(error.to_string().contains("\n  because: "), "{error}");
    }
}
