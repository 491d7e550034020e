//! Every limit of Tieline in one file, with its unit and why it has that size.
//!
//! A queue, batch, payload, nesting, loop or expression without a limit is a way to stop a daemon
//! from outside. Sizes are checked before anything is decoded. The relations between limits are
//! asserted when this file is compiled: a limit that is raised alone does not build.

// Fields, values and records.

/// Most characters of a long text: what the reference system allows.
pub const LONG_TEXT_CHARS_MAX: usize = 131_072;
/// Most characters of a text of any other type.
pub const TEXT_CHARS_MAX: usize = 255;
/// Most bytes of one field value: a long text in which every character takes four bytes does not
/// fit, one in which half of them take two does.
pub const VALUE_BYTES_MAX: usize = 200 * 1024;
/// Most bytes of all values of one record as they are encoded in the log.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Most fields of one object.
pub const OBJECT_FIELDS_MAX: usize = 800;
/// Most objects of one org.
pub const OBJECTS_MAX: usize = 1_000;
/// Most values of one picklist, active and inactive.
pub const PICKLIST_VALUES_MAX: usize = 1_000;
/// Most characters of one picklist value.
pub const PICKLIST_VALUE_CHARS_MAX: usize = 255;
/// Most characters of a label or of the message of a rule.
pub const LABEL_CHARS_MAX: usize = 255;
/// Most decimal digits of a number: what the exact decimal type holds for certain.
pub const DECIMAL_DIGITS_MAX: u8 = 28;
/// Most decimal digits of an integer: what 64 bits hold for certain.
pub const INTEGER_DIGITS_MAX: u8 = 18;

// People.

/// Most users of one org, inactive ones included.
pub const USERS_MAX: usize = 10_000;
/// Most roles of one org.
pub const ROLES_MAX: usize = 1_000;
/// Most groups of one org.
pub const GROUPS_MAX: usize = 1_000;
/// Most members of one group, users and roles together.
pub const GROUP_MEMBERS_MAX: usize = 5_000;
/// Most objects and fields that one role names.
pub const ROLE_RIGHTS_MAX: usize = 5_000;
/// Most tokens of one user that are not revoked.
pub const USER_TOKENS_MAX: usize = 50;
/// Most revoked tokens of one user that are remembered, so that their use can be told from a guess.
pub const REVOKED_TOKENS_KEPT: usize = 50;
/// Most connection licences of one org (S2S-04).
pub const CONNECTION_LICENCES_MAX: u32 = 100_000;

// Automation.

/// Most queues of one org.
pub const QUEUES_MAX: usize = 1_000;
/// Most members of one queue: users, groups, roles and connections together.
pub const QUEUE_MEMBERS_MAX: usize = 5_000;

/// Most sharing or workflow rules of one object.
pub const OBJECT_AUTOMATION_RULES_MAX: usize = 100;
/// Most entries, steps or actions of one rule.
pub const RULE_ENTRIES_MAX: usize = 100;
/// Most connections of one sharing rule: a change of a record is offered to all in one group.
pub const RULE_CONNECTIONS_MAX: usize = 100;
/// Most workflow rules that stand behind a change one after the other, within one org.
pub const RULE_DEPTH_MAX: usize = 10;
/// Longest time after which a record is escalated: a year.
pub const ESCALATION_MINUTES_MAX: u32 = 366 * 24 * 60;
/// Most records that one look for escalations goes through.
pub const ESCALATION_SLICE_MAX: usize = 100;

// Requests.

/// Most records of one request to the batch endpoint.
pub const BATCH_RECORDS_MAX: usize = 1_000;
/// Most bytes of the body of one API request.
pub const REQUEST_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the answers to requests with a key are kept.
pub const REQUEST_ANSWERS_KEPT_US: i64 = 24 * 60 * 60 * 1_000_000;
/// Most answers that are kept, of all requests together: the oldest requests are forgotten first. It
/// covers an import of so many records, and takes about 50 MiB.
pub const REQUEST_ANSWERS_MAX: usize = 500_000;
/// Most records, shares or events that one page of a list holds.
pub const PAGE_MAX: usize = 1_000;

// Configuration as files.

/// Most connection templates of one org.
pub const CONNECTION_TEMPLATES_MAX: usize = 500;
/// Most settings that are applied at a time.
pub const CONFIG_ITEMS_MAX: usize = 20_000;
/// Most events of one change of the configuration: it is one group in the log.
pub const CONFIG_EVENTS_MAX: usize = 50_000;
/// Most bytes of the events of one change of the configuration.
pub const CONFIG_BYTES_MAX: usize = 32 * 1024 * 1024;

// Messages and frames.

/// Most bytes of one message: a whole record with stamps and names.
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// Most bytes of the decompressed body of one frame.
pub const FRAME_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most messages of one frame.
pub const FRAME_MESSAGES_MAX: usize = 1_000;
/// Most sealed bytes under way in one direction of a connection without a receipt.
pub const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Deepest nesting of MessagePack that is decoded; wire types do not recurse and stay below.
pub const MSGPACK_DEPTH_MAX: usize = 16;
/// Most MessagePack values, containers included, of one decoded message or event.
pub const MSGPACK_NODES_MAX: usize = 65_536;

// Expressions and rules.

/// Most bytes of the text of one expression.
pub const EXPRESSION_BYTES_MAX: usize = 2 * 1024;
/// Most nodes of the syntax tree of one expression, macros expanded.
pub const EXPRESSION_NODES_MAX: usize = 500;
/// Deepest nesting of one expression.
pub const EXPRESSION_DEPTH_MAX: usize = 32;
/// Deepest nesting of `all`, `exists`, `filter` and `map`: inside one, no other.
pub const EXPRESSION_COMPREHENSIONS_MAX: usize = 1;
/// Most elements of a list in an expression, written down or in a field.
pub const EXPRESSION_LIST_MAX: usize = 1_000;
/// Most bytes of a regular expression, which is always a literal.
pub const EXPRESSION_REGEX_BYTES_MAX: usize = 256;
/// Most bytes of memory of one compiled regular expression.
pub const EXPRESSION_REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Most steps of one evaluation: a node is one, and so are 64 bytes of text that it looks at; a
/// byte that a regular expression looks at is eight. It bounds the time of any rule on any record.
pub const EXPRESSION_STEPS_MAX: u32 = 1_000_000;
/// Most computed fields of one object.
pub const COMPUTED_FIELDS_MAX: usize = 100;
/// Most computed mappings of one subscribe rule.
pub const COMPUTED_MAPPINGS_MAX: usize = 100;
/// Most validation rules of one object.
pub const OBJECT_RULES_MAX: usize = 200;
/// Most field mappings of one subscribe rule: one for each field of the local object.
pub const RULE_MAPPINGS_MAX: usize = OBJECT_FIELDS_MAX;
/// Most values in the picklist tables of one subscribe rule, all mappings together: the rule is one
/// event, which has to be readable again.
pub const RULE_PICKLIST_VALUES_MAX: usize = 20_000;

// Views.

/// Most list views of one org, and most inbox views.
pub const VIEWS_MAX: usize = 2_000;
/// Most columns of one view.
pub const VIEW_COLUMNS_MAX: usize = 50;
/// Most records or offers that a sorted view puts in order: they are all looked at for each page.
pub const VIEW_SORTED_MAX: usize = 10_000;

// Reports.

/// Most reports of one org, those that every org has not counted.
pub const REPORTS_MAX: usize = 1_000;
/// Most columns, groups, summaries and orders of one report together.
pub const REPORT_COLUMNS_MAX: usize = 100;
/// Most rows that one run of a report keeps, before they are grouped.
pub const REPORT_ROWS_MAX: usize = 50_000;

/// Most days that a report over updates goes back from today.
pub const REPORT_DAYS_MAX: u32 = 3_660;

// Reasons.

/// Most characters of the sentence of a reason.
pub const REASON_CHARS_MAX: usize = 500;
/// Most characters of the name of a rule.
pub const RULE_NAME_CHARS_MAX: usize = 80;

// Jobs.

/// A job takes positions only while the connection has fewer messages than this without a receipt.
pub const JOB_OUTBOX_MESSAGES_MAX: usize = 2_000;
/// A job takes positions only while the connection has fewer bytes than this without a receipt.
pub const JOB_OUTBOX_BYTES_MAX: usize = 1024 * 1024;
/// Most records that one slice of a job touches.
pub const JOB_SLICE_MAX: usize = 100;
/// Most reasons for passing an item over that a job keeps; the log keeps all.
pub const JOB_REASONS_MAX: usize = 20;
/// Most shares in one run of share states: each may be answered by a grant and a snapshot.
pub const SHARE_STATES_MAX: usize = 50;

/// Most references that are filled or told at once when a record arrives or is offered; a job does
/// the rest.
pub const LINKS_AT_ONCE_MAX: usize = 20;
/// Most messages of one connection that are held for a parent; more are rejected and tried again.
pub const HELD_FOR_PARENT_MAX: usize = 10_000;

/// Most messages of a connection that are held while an object of it is paused here: a partner that does
/// not hear of the pause keeps the rest.
pub const HELD_FOR_PAUSE_MAX: usize = 2_000;
/// Most records that are followed to find out whether records wait for each other in a circle.
pub const PARENT_CIRCLE_MAX: usize = 32;

// Drift.

/// Most changes of published fields that a connection remembers; the log keeps all.
pub const DRIFT_KEPT: usize = 200;
/// Most fields of one object that a converted lead fills.
pub const CONVERSION_FIELDS_MAX: usize = 200;
/// Most users of a partner that are mapped to owners here.
pub const OWNERS_MAPPED_MAX: usize = 2_000;
/// Most values without a mapping that are counted for one field.
pub const UNMAPPED_VALUES_KEPT: usize = 200;

// What has to be done outside, and what users are told.

/// Most effects that wait to be done; further ones are dropped, with an alarm.
pub const EFFECTS_OPEN_MAX: usize = 10_000;
/// Most bytes of all effects that wait to be done.
pub const EFFECTS_OPEN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most effects that were given up and can be tried again; the oldest are forgotten first.
pub const EFFECTS_FAILED_KEPT: usize = 1_000;
/// Most effects that were done and are still listed; the log keeps all.
pub const EFFECTS_SENT_KEPT: usize = 200;
/// Most bytes of what one effect says, in each of its forms.
pub const EFFECT_BODY_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a web address.
pub const URL_BYTES_MAX: usize = 2 * 1024;
/// Most mail templates of one org.
pub const MAIL_TEMPLATES_MAX: usize = 200;
/// Most bytes of each part of a mail template.
pub const MAIL_TEMPLATE_BYTES_MAX: usize = 32 * 1024;
/// Most invitations that are saved and not sent, and most of other orgs that wait for a decision.
pub const INVITATIONS_KEPT_MAX: usize = 10_000;
/// Most contacts of one request that invites or asks many.
pub const CONTACTS_AT_ONCE_MAX: usize = 1_000;
/// Most questions to contacts that are kept; the oldest are forgotten first.
pub const INQUIRIES_KEPT: usize = 10_000;
/// Minutes within which notices of one kind are sent together, unless something else is set.
pub const DIGEST_MINUTES_DEFAULT: u32 = 60;
/// Most minutes within which notices of one kind are sent together: a week.
pub const DIGEST_MINUTES_MAX: u32 = 7 * 24 * 60;
/// Most users whose digests one command makes.
pub const DIGESTS_AT_ONCE_MAX: usize = 20;
/// Most notices that one group of events raises.
pub const NOTICES_AT_ONCE_MAX: usize = 20;
/// Most notices of one user that are kept; the log keeps all.
pub const NOTICES_KEPT: usize = 500;
/// Most notices of one kind and one connection that wait to be sent to one user together: what a storm
/// raises beyond them stands in the lists that it is about.
pub const NOTICES_WAITING_MAX: usize = 50;

// Time and loops.

/// A stamp further ahead of the wall clock than this is held until then.
pub const CLOCK_SKEW_US_MAX: i64 = 5 * 60 * 1_000_000;
/// A key that has a successor opens frames for so long.
pub const KEY_OVERLAP_US: i64 = 24 * 3_600 * 1_000_000;
/// Most fields by which the account of an accepted record is matched.
pub const ACCOUNT_KEYS_MAX: usize = 10;
/// A change that rules have carried through this many orgs is not sent on.
pub const HOPS_MAX: u8 = 8;

/// Most uses that a refusal names of what cannot be removed.
pub const USES_TOLD: usize = 8;

// The relations that the rest of the code relies on.
const _: () = {
    assert!(LONG_TEXT_CHARS_MAX <= VALUE_BYTES_MAX, "a long text of ASCII is a value");
    assert!(VALUE_BYTES_MAX < RECORD_BYTES_MAX, "a record holds its largest value");
    assert!(2 * RECORD_BYTES_MAX <= MESSAGE_BYTES_MAX, "a whole record with its stamps is a message");
    assert!(MESSAGE_BYTES_MAX < FRAME_BODY_BYTES_MAX, "every message fits a frame");
    assert!(2 * FRAME_BODY_BYTES_MAX <= WINDOW_BYTES_MAX, "one frame may travel while another is built");
    assert!(CONFIG_ITEMS_MAX < CONFIG_EVENTS_MAX, "each setting may have its event");
    assert!(2 * CONFIG_BYTES_MAX <= crate::log::Group::BYTES_MAX, "a change of settings fits a group");
    assert!(RECORD_BYTES_MAX < REQUEST_BODY_BYTES_MAX, "a record fits a request");
    assert!(JOB_OUTBOX_BYTES_MAX < WINDOW_BYTES_MAX, "jobs leave room for live changes");
    assert!(JOB_SLICE_MAX < JOB_OUTBOX_MESSAGES_MAX, "a slice fits the allowance of jobs");
    assert!(BATCH_RECORDS_MAX < REQUEST_ANSWERS_MAX, "the answers to one request are kept");
    assert!(BATCH_RECORDS_MAX >= 100, "the batch endpoint takes at least 100 records");
    assert!(8 * OBJECT_FIELDS_MAX < MSGPACK_NODES_MAX, "a record with all fields passes the scan");
    assert!(8 * ROLE_RIGHTS_MAX < MSGPACK_NODES_MAX, "a role that names all that it may passes the scan");
    assert!(2 * QUEUE_MEMBERS_MAX < MSGPACK_NODES_MAX, "a full queue passes the scan");
    assert!(2 * GROUP_MEMBERS_MAX < MSGPACK_NODES_MAX, "a full group passes the scan");
    assert!(4 * PICKLIST_VALUES_MAX < MSGPACK_NODES_MAX, "a full picklist passes the scan");
    assert!(
        2 * RULE_PICKLIST_VALUES_MAX + 24 * RULE_MAPPINGS_MAX < MSGPACK_NODES_MAX,
        "a full subscribe rule passes the scan"
    );
    assert!(MAIL_TEMPLATE_BYTES_MAX < EFFECT_BODY_BYTES_MAX, "a merged template is a mail");
    assert!(2 * EFFECT_BODY_BYTES_MAX < MESSAGE_BYTES_MAX, "a mail is an event");
    assert!(EFFECT_BODY_BYTES_MAX < EFFECTS_OPEN_BYTES_MAX, "many effects may wait");
    assert!(NOTICES_WAITING_MAX < NOTICES_KEPT, "what waits to be sent is kept");
    assert!(EXPRESSION_DEPTH_MAX < EXPRESSION_NODES_MAX, "a deep expression is not the largest one");
    assert!(EXPRESSION_NODES_MAX < EXPRESSION_BYTES_MAX, "the nodes are bounded before the text is");
    assert!(
        (EXPRESSION_LIST_MAX * EXPRESSION_NODES_MAX) as u32 <= EXPRESSION_STEPS_MAX,
        "every expression can walk every list of short values"
    );
    assert!(EXPRESSION_LIST_MAX >= PICKLIST_VALUES_MAX, "an expression can walk any multi-select value");
    assert!(PICKLIST_VALUE_CHARS_MAX <= TEXT_CHARS_MAX, "a picklist value can be mapped to a text");
    assert!(RULE_NAME_CHARS_MAX <= REASON_CHARS_MAX, "a reason can name its rule");
};
