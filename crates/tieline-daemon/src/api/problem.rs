//! Errors of the API: RFC 9457 problem details with a code of one closed list.
//!
//! The code is for machines and never changes its meaning or its HTTP status; the detail is for
//! people and names the thing, the reason and the remedy. What went wrong inside is logged, never
//! told.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tieline_core::command::{Refusal, RefusalKind};
use tieline_core::reason::Reason;

use crate::keyring::RotateError;
use crate::org::ExecuteError;

/// Seconds after which a client may try again when the daemon is busy or stopping.
const RETRY_AFTER_S: &str = "1";

macro_rules! error_codes {
    ($($variant:ident = $code:literal, $status:literal, $title:literal;)+) => {
        /// The closed list of error codes, each with its HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ErrorCode {
            $(#[doc = $title] $variant,)+
        }

        impl ErrorCode {
            /// Every code, in the order of their statuses.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The HTTP status of every answer with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// What the code means, without saying of what.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

error_codes! {
    MalformedJson = "malformed_json", 400, "The body is not JSON, or is nested too deep";
    BadUtf8 = "bad_utf8", 400, "The body is not UTF-8";
    BadQuery = "bad_query", 400, "The query of the URL is not valid";
    BadPath = "bad_path", 400, "The path of the URL is not valid";
    Unauthorized = "unauthorized", 401, "A valid token is needed";
    TokenExpired = "token_expired", 401, "The time of the token is over";
    TokenRevoked = "token_revoked", 401, "The token was revoked";
    NotActive = "not_active", 401, "The user is not active";
    NoPermission = "no_permission", 403, "The user may not do this";
    NotFound = "not_found", 404, "There is nothing at this address";
    UnknownConnection = "unknown_connection", 404, "There is no such connection";
    UnknownObject = "unknown_object", 404, "There is no such object";
    UnknownRecord = "unknown_record", 404, "There is no such record";
    RecordDeleted = "record_deleted", 404, "The record was deleted";
    UnknownShare = "unknown_share", 404, "There is no such share";
    UnknownJob = "unknown_job", 404, "There is no such job, or it is done";
    UnknownUser = "unknown_user", 404, "There is no such user";
    UnknownRole = "unknown_role", 404, "There is no such role";
    UnknownGroup = "unknown_group", 404, "There is no such group";
    UnknownToken = "unknown_token", 404, "The user has no such token";
    UnknownQueue = "unknown_queue", 404, "There is no such queue";
    UnknownView = "unknown_view", 404, "There is no such view";
    UnknownEffect = "unknown_effect", 404, "There is no such effect, or it was not given up";
    UnknownInquiry = "unknown_inquiry", 404, "There is no such question to a contact";
    UnknownInvitation = "unknown_invitation", 404, "There is no such invitation";
    UnknownMailTemplate = "unknown_mail_template", 404, "There is no such mail template";
    UnknownNotice = "unknown_notice", 404, "The user has no such notice";
    UnknownTemplate = "unknown_template", 404, "There is no such connection template";
    UnknownRule = "unknown_rule", 404, "There is no such rule";
    UnknownReport = "unknown_report", 404, "There is no such report";
    UnknownSecret = "unknown_secret", 404, "There is no such secret";
    MethodNotAllowed = "method_not_allowed", 405, "The address does not take this method";
    LogSetBack = "log_set_back", 409, "The position is of another life of the log";
    AmbiguousConnection = "ambiguous_connection", 409, "Several connections have this name";
    AlreadyAnswered = "already_answered", 409, "The invitation was answered before";
    AlreadyAsked = "already_asked", 409, "The contact was asked before";
    AlreadyInvited = "already_invited", 409, "The contact was invited before";
    AlreadyShared = "already_shared", 409, "The record is shared with this connection already";
    BuiltInReport = "built_in_report", 409, "The report is in every org as it is";
    BuiltInRole = "built_in_role", 409, "The role is in every org as it is";
    ConnectionNotActive = "connection_not_active", 409, "The connection is not active";
    Converted = "converted", 409, "The lead was converted";
    EditionCannotSend = "edition_cannot_send", 409, "The edition of the org may not send invitations";
    EditionCannotShare = "edition_cannot_share", 409, "The edition of the org takes no part in sharing";
    EffectsFull = "effects_full", 409, "Too many mails and webhooks wait to be sent";
    EffectOpen = "effect_open", 409, "The effect is being tried";
    Expired = "expired", 409, "The invitation has ended";
    LastAdministrator = "last_administrator", 409, "Nobody would be left who may do everything";
    NoLicence = "no_licence", 409, "All connection licences are in use";
    NoOrg = "no_org", 409, "The log has no org yet";
    NotByHand = "not_by_hand", 409, "Only queues and rules share records of this object";
    NotWaiting = "not_waiting", 409, "No such value waits for approval";
    ParentNotShared = "parent_not_shared", 409, "What the task belongs to is not shared with this connection";
    NotInCatalogue = "not_in_catalogue", 409, "The partner does not publish this";
    NotAMember = "not_a_member", 409, "The connection is not a member of the queue";
    NotInviter = "not_inviter", 409, "The invitation is of another org";
    NotOffered = "not_offered", 409, "The share is not an open offer";
    NotPending = "not_pending", 409, "The connection is not a pending invitation of this org";
    NotPublished = "not_published", 409, "The object is not published to this connection";
    NotShared = "not_shared", 409, "The record is not shared with this connection";
    NotSubscribed = "not_subscribed", 409, "The object is not subscribed on this connection";
    OpenConnections = "open_connections", 409, "The org has connections that are not ended";
    OrgExists = "org_exists", 409, "The log has an org already";
    TemplateInUse = "template_in_use", 409, "An invitation is to be given the connection template";
    MailTemplateInUse = "mail_template_in_use", 409, "Something is to be sent by the mail template";
    QueueInUse = "queue_in_use", 409, "The queue owns records, or a rule names it";
    QueueTakesNot = "queue_takes_not", 409, "The queue does not take records of this object";
    Paused = "paused", 409, "The object is paused on this connection";
    PlanOutdated = "plan_outdated", 409, "The configuration has changed since the plan was made";
    Revoked = "revoked", 409, "The invitation was revoked";
    RoleInUse = "role_in_use", 409, "Something stands on the role";
    SecretExists = "secret_exists", 409, "There is a secret of that name";
    SecretInUse = "secret_in_use", 409, "Something signs with the secret";
    AnswerGone = "answer_gone", 409, "The request was answered, and its secret is not kept any more";
    ObjectInUse = "object_in_use", 409, "Something stands on the object";
    GroupInUse = "group_in_use", 409, "Something stands on the group";
    UserInUse = "user_in_use", 409, "Something stands on the user";
    RemovalNotAsked = "removal_not_asked", 409, "Something would be removed, and nobody asked for it";
    RotationPending = "rotation_pending", 409, "A new key was announced and is not in use yet";
    RuleInactive = "rule_inactive", 409, "The rule is not active";
    SharingNotEnabled = "sharing_not_enabled", 409, "The org has not enabled sharing";
    Taken = "taken", 409, "Another connection has the record";
    Used = "used", 409, "The invitation has been used";
    UserExists = "user_exists", 409, "There is such a user already";
    UserInactive = "user_inactive", 409, "The user is not active";
    Conflict = "conflict", 409, "It does not fit the present state";
    TooLarge = "too_large", 413, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", 415, "The body is of a type that is not read here";
    BadBody = "bad_body", 422, "The body is JSON, but not what is expected here";
    UnknownKey = "unknown_key", 422, "The body has a key that is not known here";
    RecordRefused = "record_refused", 422, "Values or rules refuse it";
    ConfigRefused = "config_refused", 422, "The files of the configuration cannot be applied";
    BadConfig = "bad_config", 422, "The files of the configuration are not valid";
    BadObjectFile = "bad_object_file", 422, "The file of the object is not valid";
    BadConnectionUrl = "bad_connection_url", 422, "This is no connection URL";
    AlreadyExpired = "already_expired", 422, "It would end before it begins";
    BadEmail = "bad_email", 422, "This is no e-mail address";
    BadQueue = "bad_queue", 422, "The queue is not valid";
    BadMailTemplate = "bad_mail_template", 422, "The mail template is not valid";
    NoAddress = "no_address", 422, "The contact has no e-mail address";
    NoOrgNamed = "no_org_named", 422, "No org is named";
    BadNoticeSettings = "bad_notice_settings", 422, "The settings of notices are not valid";
    BadUrl = "bad_url", 422, "This is no web address for a webhook";
    BadRole = "bad_role", 422, "The role is not valid";
    PortalRole = "portal_role", 422, "A portal role can never have this permission";
    BadKey = "bad_key", 422, "The idempotency key is not valid";
    KeyReused = "key_reused", 422, "The idempotency key was used for another request";
    KeyNotTaken = "key_not_taken", 422, "The request takes no idempotency key";
    BadLabel = "bad_label", 422, "The label is not valid";
    RecordTypeByDefault = "record_type_by_default", 422, "Records of this object get the default type of their owner";
    UnknownRecordType = "unknown_record_type", 422, "The object has no such record type";
    NoAccount = "no_account", 422, "Records of this object name no account";
    NotALead = "not_a_lead", 422, "Only leads are converted";
    LimitReached = "limit_reached", 422, "A limit would be exceeded";
    OwnInvitation = "own_invitation", 422, "The invitation is this org's own";
    SystemUser = "system_user", 422, "The user is not a person";
    Invalid = "invalid", 422, "It is not valid";
    Internal = "internal", 500, "The daemon failed";
    LogUnreadable = "log_unreadable", 500, "The log cannot be read there";
    Overloaded = "overloaded", 503, "Too many requests wait";
    Stopping = "stopping", 503, "The daemon is stopping";
    NoSpace = "no_space", 507, "The disk is nearly full";
}

impl ErrorCode {
    /// The code of a refusal. One that this list lacks, which a test rules out, is told by its kind.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let named = Self::ALL.iter().find(|code| code.as_str() == refusal.code);
        named.copied().unwrap_or(match refusal.kind {
            RefusalKind::Invalid => Self::Invalid,
            RefusalKind::NotFound => Self::NotFound,
            RefusalKind::Conflict => Self::Conflict,
            RefusalKind::Forbidden => Self::NoPermission,
        })
    }
}

/// One reason among several: of a field, a rule, or the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct ReasonView {
    /// A stable code.
    pub(crate) code: &'static str,
    /// The field that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// The validation rule that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// One sentence for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
}

impl From<&Reason> for ReasonView {
    fn from(reason: &Reason) -> Self {
        Self {
            code: reason.code.as_str(),
            field: reason.field.as_ref().map(ToString::to_string),
            rule: reason.rule.clone(),
            message: reason.message.clone(),
        }
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: ErrorCode,
    pub(crate) detail: String,
    pub(crate) reasons: Vec<ReasonView>,
    /// Line and column of the body, from 1.
    place: Option<(u32, u32)>,
}

/// Why a request failed (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Where the code is explained.
    #[serde(rename = "type")]
    kind: String,
    /// What the code means, without saying of what.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The stable code.
    code: &'static str,
    /// The thing, the reason and the remedy.
    detail: &'a str,
    /// Reasons per field or rule, where there are several.
    #[serde(skip_serializing_if = "<[ReasonView]>::is_empty")]
    reasons: &'a [ReasonView],
    /// The line of the body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// The column of the body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
}

impl Problem {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), reasons: Vec::new(), place: None }
    }

    /// This problem, at a place of the body.
    pub(crate) fn at(mut self, line: usize, column: usize) -> Self {
        // A body has at most some million lines and columns.
        let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
        self.place = Some((number(line), number(column)));
        self
    }

    /// What is answered.
    pub(crate) fn body(&self) -> ProblemBody<'_> {
        ProblemBody {
            kind: format!("/errors/{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status(),
            code: self.code.as_str(),
            detail: &self.detail,
            reasons: &self.reasons,
            line: self.place.map(|(line, _)| line),
            column: self.place.map(|(_, column)| column),
        }
    }

    /// Values that cannot be what they are meant to be.
    pub(crate) fn refused(reasons: Vec<Reason>) -> Self {
        Refusal::record(reasons).into()
    }

    /// Something inside failed: it is logged in full, and the client is told no more than that.
    pub(crate) fn internal(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, what, "a request failed");
        Self::new(ErrorCode::Internal, format!("{what} failed: the log of the daemon says why"))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let reasons = refusal.reasons.iter().map(ReasonView::from).collect();
        Self { reasons, ..Self::new(ErrorCode::of(&refusal), refusal.message) }
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        let code = match error {
            ExecuteError::Refused(refusal) => return refusal.into(),
            ExecuteError::NoSpace { .. } => ErrorCode::NoSpace,
            ExecuteError::Overloaded => ErrorCode::Overloaded,
            ExecuteError::Stopping => ErrorCode::Stopping,
        };
        Self::new(code, error.to_string())
    }
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Execute(error) => error.into(),
            RotateError::Keys(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a new key could not be kept");
                let detail = "the new key could not be kept on disk, and nothing has changed: the daemon's log says why";
                Self::new(ErrorCode::Internal, detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.code {
            ErrorCode::Unauthorized => {
                headers
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tieline\""));
            }
            ErrorCode::Overloaded | ErrorCode::Stopping => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use tieline_core::reason::ReasonCode;

    use super::*;

    #[test]
    fn the_list_is_closed_and_ordered() {
        let names: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.windows(2).all(|pair| pair[0].status() <= pair[1].status()));
        for code in ErrorCode::ALL {
            assert!(
                code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'8'),
                "{code:?}"
            );
            assert!(StatusCode::from_u16(code.status()).is_ok_and(|status| !status.is_success()), "{code:?}");
        }
    }

    /// Every code with which the core refuses is in the list, with the status of its kind.
    #[test]
    fn every_refusal_of_the_core_has_its_code() {
        let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tieline-core/src");
        let mut found = 0;
        for file in ["decide", "command", "state"].into_iter().flat_map(|name| sources(&core.join(name))) {
            for (kind, statuses) in
                [("invalid", [422, 422]), ("conflict", [409, 409]), ("not_found", [404, 404])]
            {
                for call in file.split(&format!("Refusal::{kind}(")).skip(1) {
                    let Some(code) =
                        call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                    else {
                        continue;
                    };
                    let known = ErrorCode::ALL.iter().find(|known| known.as_str() == code);
                    let known = known.unwrap_or_else(|| panic!("{code} is not in ErrorCode"));
                    assert!(statuses.contains(&known.status()), "{code} is {kind}");
                    found += 1;
                }
            }
        }
        assert!(found > 30, "only {found} refusals were found: did their form change?");
    }

    fn sources(path: &Path) -> Vec<String> {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            return entries.flat_map(|entry| sources(&entry)).collect();
        }
        vec![std::fs::read_to_string(path).unwrap()]
    }

    #[test]
    fn a_refusal_keeps_its_code_sentence_and_reasons() {
        let field = "Status".parse().unwrap();
        let reason = Reason::new(ReasonCode::NotInPicklist, "Status is \"x\"").on_field(&field);
        let problem: Problem = Refusal::record(vec![reason]).into();
        let json = serde_json::to_value(problem.body()).unwrap();
        let expected = serde_json::json!({
            "type": "/errors/record_refused",
            "title": "Values or rules refuse it",
            "status": 422,
            "code": "record_refused",
            "detail": "Status is \"x\"",
            "reasons": [{"code": "not_in_picklist", "field": "Status", "message": "Status is \"x\""}],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn each_failure_has_its_status_and_headers() {
        type Case = (Problem, u16, Option<(header::HeaderName, &'static str)>);
        let cases: [Case; 6] = [
            (ExecuteError::NoSpace { free_bytes: 5 }.into(), 507, None),
            (ExecuteError::Overloaded.into(), 503, Some((header::RETRY_AFTER, "1"))),
            (ExecuteError::Stopping.into(), 503, Some((header::RETRY_AFTER, "1"))),
            (Refusal::forbidden("no").into(), 403, None),
            (Refusal { code: "of_tomorrow", ..Refusal::conflict("", "x") }.into(), 409, None),
            (
                Problem::new(ErrorCode::Unauthorized, "x"),
                401,
                Some((header::WWW_AUTHENTICATE, "Bearer realm=\"tieline\"")),
            ),
        ];
        for (problem, status, extra) in cases {
            let response = problem.into_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
            if let Some((name, value)) = extra {
                assert_eq!(response.headers()[name], value);
            }
        }
    }
}
