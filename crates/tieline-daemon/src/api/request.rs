//! What comes in: bodies, queries and paths, checked before any handler sees them.
//!
//! A body is bounded before it is read, is UTF-8 and JSON of bounded depth, and has no key that
//! nobody knows. Each refusal is a problem that names the place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::HttpBody;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tieline_core::limits::{PAGE_MAX, REQUEST_BODY_BYTES_MAX};

use super::problem::{ErrorCode, Problem};

/// How many entries a page has unless a number is named.
const PAGE_DEFAULT: usize = 100;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        json_bytes(request, state).await.and_then(|bytes| parse(&bytes)).map(Self)
    }
}

async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let detail = "the body has to be JSON: send it with the header Content-Type: application/json";
        return Err(Problem::new(ErrorCode::UnsupportedMediaType, detail));
    }
    read(request, state).await
}

/// A JSON body that has a way of its own to be read.
pub(crate) trait Parse: Sized {
    /// Parses the body.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    fn parse(bytes: &[u8]) -> Result<Self, Problem>;
}

/// Such a body.
pub(crate) struct ParsedBody<T>(pub(crate) T);

impl<S: Send + Sync, T: Parse> FromRequest<S> for ParsedBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        json_bytes(request, state).await.and_then(|bytes| T::parse(&bytes)).map(Self)
    }
}

/// A body of text.
pub(crate) struct Text(pub(crate) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read(request, state).await?;
        utf8(&bytes).map(|text| Self(text.to_owned()))
    }
}

/// Whether anybody has read the body of a request.
#[derive(Clone, Default)]
struct BodyRead(Arc<AtomicBool>);

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let noted = request.extensions().get::<BodyRead>().cloned();
    let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
    if let Some(BodyRead(noted)) = noted {
        noted.store(true, Ordering::Relaxed);
    }
    Ok(bytes)
}

/// A body that nobody read ends its connection. The client is told so, or it would send its next
/// request into a connection that is about to end.
pub(crate) async fn tell_of_unread(mut request: Request, next: Next) -> Response {
    let read = BodyRead::default();
    let has_body = !request.body().is_end_stream();
    request.extensions_mut().insert(read.clone());
    let mut response = next.run(request).await;
    if has_body && !read.0.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

pub(crate) fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!(
            "the body has more than {REQUEST_BODY_BYTES_MAX} bytes, the most that one request may have: split it"
        );
        return Problem::new(ErrorCode::TooLarge, detail);
    }
    Problem::new(ErrorCode::BadBody, "the body ended before it was whole: send it again")
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let detail = format!("the body is not UTF-8 at line {line}, column {column}: send it in UTF-8");
        Problem::new(ErrorCode::BadUtf8, detail).at(line, column)
    })
}

/// Parses a JSON body.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    parse_text(utf8(bytes)?)
}

/// The same for a text.
pub(crate) fn parse_text<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    // An empty body ends before its first column.
    let (line, column) = (error.line(), error.column().max(1));
    let reason = text.strip_suffix(&place).unwrap_or(&text);
    let at = |code, detail: String| {
        if line == 0 { Problem::new(code, detail) } else { Problem::new(code, detail).at(line, column) }
    };
    if !error.is_data() {
        let detail = format!("the body is not JSON at line {line}, column {column}: {reason}");
        return at(ErrorCode::MalformedJson, detail);
    }
    match unknown_key(reason) {
        Some((key, known)) => at(
            ErrorCode::UnknownKey,
            format!("the body has the key {key:?}, which is not known here: {known}"),
        ),
        None => at(ErrorCode::BadBody, format!("the body is not what is expected here: {reason}")),
    }
}

/// The key and what to do about it, from serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(reason: &str) -> Option<(&str, String)> {
    let (key, expected) = reason.strip_prefix("unknown field `")?.split_once('`')?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let remedy =
        if known.is_empty() { "leave it out".to_owned() } else { format!("use one of {}", known.join(", ")) };
    Some((key, remedy))
}

/// The query of the URL.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, reason)| reason);
                Err(Problem::new(ErrorCode::BadQuery, format!("the query of the URL is not valid: {reason}")))
            }
        }
    }
}

/// The variable parts of the path.
pub(crate) struct Route<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Route<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.strip_prefix("Invalid URL: ").unwrap_or(&text);
                // It quotes the path as it came.
                let reason = reason.replace(char::is_control, "\u{fffd}");
                Err(Problem::new(ErrorCode::BadPath, format!("the path of the URL is not valid: {reason}")))
            }
        }
    }
}

/// How many entries a page holds: what was asked for within the limits, or the usual number.
pub(crate) fn page_size(limit: Option<usize>) -> usize {
    limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
}

/// An id in the query, as a cursor.
pub(crate) fn cursor<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|error| {
            let detail = format!("the cursor is not one that this list gave out: {error}; begin without it");
            Problem::new(ErrorCode::BadQuery, detail)
        })
    };
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[expect(dead_code, reason = "only whether it parses counts")]
        object: String,
        #[expect(dead_code, reason = "only whether it parses counts")]
        fields: Option<serde_json::Value>,
    }

    #[test]
    fn each_bad_body_is_named_with_its_place() {
        let deep = format!("{{\"object\":\"a\",\"fields\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        type Case<'a> = (&'a [u8], ErrorCode, (usize, usize), &'a str);
        let cases: [Case<'_>; 9] = [
            (b"{\"object\":\n  \"a\",}", ErrorCode::MalformedJson, (2, 7), "trailing comma"),
            (b"{\"object\": \"a\"", ErrorCode::MalformedJson, (1, 14), "EOF"),
            (b"", ErrorCode::MalformedJson, (1, 1), "EOF"),
            (b"{\"object\":\"a\"} x", ErrorCode::MalformedJson, (1, 16), "trailing characters"),
            (deep.as_bytes(), ErrorCode::MalformedJson, (1, 150), "recursion limit"),
            (b"{\"object\":\n\"\xc3\x28\"}", ErrorCode::BadUtf8, (2, 2), "not UTF-8"),
            (
                b"{\"object\":\"a\",\"feilds\":{}}",
                ErrorCode::UnknownKey,
                (1, 22),
                "\"feilds\", which is not known here: use one of object, fields",
            ),
            (b"{\"object\":7}", ErrorCode::BadBody, (1, 11), "expected a string"),
            (b"{\"fields\":{}}", ErrorCode::BadBody, (1, 13), "missing field `object`"),
        ];
        for (body, code, place, part) in cases {
            let shown = String::from_utf8_lossy(body);
            let problem = parse::<Asked>(body).unwrap_err();
            assert_eq!(problem.code, code, "{shown}: {}", problem.detail);
            assert!(problem.detail.contains(part), "{shown}: {}", problem.detail);
            let json = serde_json::to_value(problem.body()).unwrap();
            assert_eq!((&json["line"], &json["column"]), (&place.0.into(), &place.1.into()), "{shown}");
        }
    }

    #[test]
    fn media_types_of_json_are_told_apart_from_others() {
        for (text, yes) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/json", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, text.parse().unwrap());
            assert_eq!(is_json(&headers), yes, "{text:?}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn pages_stay_within_their_limits() {
        assert_eq!(
            [page_size(None), page_size(Some(0)), page_size(Some(7)), page_size(Some(99_999))],
            [100, 1, 7, PAGE_MAX]
        );
        assert_eq!(cursor::<u64>(Some("12")).unwrap(), Some(12));
        assert_eq!(cursor::<u64>(Some("x")).unwrap_err().code, ErrorCode::BadQuery);
    }
}
