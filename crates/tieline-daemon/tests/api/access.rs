//! Who may ask what: every operation of the document, asked by a user of each kind of role.
//!
//! The table below says for each operation which roles get past the question of permission. What the
//! daemon then answers is not looked at here: only whether it was `no_permission`. An operation of
//! the document that is not in the table fails the test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::kit::Org;

/// Users by the name of their role: `boss` may do everything; `manager` manages connections and may
/// do nothing with records; `seller` reads, creates and edits leads; `reader` reads them; `portal` is
/// an outsider who reads and edits leads; `nobody` may do nothing.
const ROLES: [&str; 6] = ["boss", "manager", "seller", "reader", "portal", "nobody"];

const ALL: &[&str] = &ROLES;
const BOSS: &[&str] = &["boss"];
const MANAGES: &[&str] = &["boss", "manager"];
const READS: &[&str] = &["boss", "seller", "reader", "portal"];
const CREATES: &[&str] = &["boss", "seller"];
const EDITS: &[&str] = &["boss", "seller", "portal"];

/// One question: the operation as the document writes it, the path and body that are sent, and who
/// may ask it. `LEAD` and `USER` stand for a record, and for the user who asks.
type Question = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// Every operation but those that are open.
const QUESTIONS: &[Question] = &[
    ("get /v1/status", "/v1/status", "", ALL),
    ("get /v1/state-hash", "/v1/state-hash", "", BOSS),
    ("get /v1/org", "/v1/org", "", ALL),
    ("patch /v1/org", "/v1/org", r#"{"edition": "enterprise"}"#, BOSS),
    ("post /v1/org/enable", "/v1/org/enable", "{}", BOSS),
    ("get /v1/users", "/v1/users", "", BOSS),
    ("post /v1/users", "/v1/users", r#"{"user": "connection.user"}"#, BOSS),
    ("get /v1/users/{user}", "/v1/users/ann", "", BOSS),
    ("get /v1/users/{user}", "/v1/users/USER", "", ALL),
    ("patch /v1/users/{user}", "/v1/users/USER", r#"{"email": ""}"#, BOSS),
    ("delete /v1/users/{user}", "/v1/users/none", "", BOSS),
    ("post /v1/users/{user}/hand-over", "/v1/users/nobody/hand-over", r#"{"to": "ann"}"#, BOSS),
    ("get /v1/users/{user}/tokens", "/v1/users/ann/tokens", "", BOSS),
    ("get /v1/users/{user}/tokens", "/v1/users/USER/tokens", "", ALL),
    ("post /v1/users/{user}/tokens", "/v1/users/USER/tokens", "{}", BOSS),
    ("delete /v1/users/{user}/tokens/{token}", "/v1/users/ann/tokens/NONE", "", BOSS),
    ("delete /v1/users/{user}/tokens/{token}", "/v1/users/USER/tokens/NONE", "", ALL),
    ("get /v1/roles", "/v1/roles", "", BOSS),
    ("get /v1/roles/{role}", "/v1/roles/standard", "", BOSS),
    ("get /v1/roles/{role}", "/v1/roles/USER", "", ALL),
    ("put /v1/roles/{role}", "/v1/roles/standard", r#"{"portal": true, "modify_all_data": true}"#, BOSS),
    ("delete /v1/roles/{role}", "/v1/roles/standard", "", BOSS),
    ("get /v1/groups", "/v1/groups", "", BOSS),
    ("get /v1/groups/{group}", "/v1/groups/none", "", BOSS),
    ("put /v1/groups/{group}", "/v1/groups/emea", r#"{"users": ["ann"]}"#, BOSS),
    ("delete /v1/groups/{group}", "/v1/groups/none", "", BOSS),
    ("post /v1/invitations", "/v1/invitations", "{}", MANAGES),
    ("post /v1/invitations/inspect", "/v1/invitations/inspect", r#"{"url": "tieline://x"}"#, MANAGES),
    (
        "post /v1/invitations/answer",
        "/v1/invitations/answer",
        r#"{"url": "tieline://x", "accept": true}"#,
        MANAGES,
    ),
    ("get /v1/connections", "/v1/connections", "", MANAGES),
    ("get /v1/connections/{c}", "/v1/connections/globex", "", MANAGES),
    ("patch /v1/connections/{c}", "/v1/connections/none", r#"{"owner": "ann"}"#, MANAGES),
    ("post /v1/connections/{c}/revoke", "/v1/connections/globex/revoke", "{}", MANAGES),
    ("post /v1/connections/{c}/deactivate", "/v1/connections/none/deactivate", "{}", MANAGES),
    ("post /v1/connections/{c}/resume", "/v1/connections/globex/resume", "{}", MANAGES),
    ("post /v1/connections/{c}/pause", "/v1/connections/none/pause", "{}", MANAGES),
    ("post /v1/connections/{c}/unpause", "/v1/connections/none/unpause", "{}", MANAGES),
    ("post /v1/connections/{c}/reconcile", "/v1/connections/none/reconcile", "{}", MANAGES),
    ("post /v1/connections/{c}/rotate-key", "/v1/connections/none/rotate-key", "{}", MANAGES),
    ("get /v1/connections/{c}/audit", "/v1/connections/globex/audit", "", MANAGES),
    ("get /v1/connections/{c}/replay", "/v1/connections/globex/replay", "", BOSS),
    ("get /v1/connections/{c}/explain", "/v1/connections/globex/explain?position=1", "", BOSS),
    ("get /v1/webhook-secrets", "/v1/webhook-secrets", "", BOSS),
    ("post /v1/webhook-secrets", "/v1/webhook-secrets", r#"{"name": "hooks"}"#, BOSS),
    ("post /v1/webhook-secrets/{name}/rotate", "/v1/webhook-secrets/none/rotate", "{}", BOSS),
    ("delete /v1/webhook-secrets/{name}", "/v1/webhook-secrets/none", "", BOSS),
    ("get /v1/connections/{c}/publish", "/v1/connections/globex/publish", "", MANAGES),
    ("get /v1/connections/{c}/publish/{object}", "/v1/connections/globex/publish/Lead", "", MANAGES),
    // A manager who cannot edit leads publishes none (S2S-03).
    (
        "put /v1/connections/{c}/publish/{object}",
        "/v1/connections/globex/publish/Lead",
        r#"{"fields": ["LastName"]}"#,
        BOSS,
    ),
    ("delete /v1/connections/{c}/publish/{object}", "/v1/connections/globex/publish/Task", "", MANAGES),
    ("get /v1/connections/{c}/subscribe", "/v1/connections/globex/subscribe", "", MANAGES),
    ("get /v1/connections/{c}/subscribe/{remote}", "/v1/connections/globex/subscribe/Lead", "", MANAGES),
    (
        "put /v1/connections/{c}/subscribe/{remote}",
        "/v1/connections/globex/subscribe/Lead",
        r#"{"local": "Lead", "fields": [{"local": "LastName", "from": "LastName"}]}"#,
        BOSS,
    ),
    ("delete /v1/connections/{c}/subscribe/{remote}", "/v1/connections/globex/subscribe/Task", "", MANAGES),
    ("get /v1/connections/{c}/drift", "/v1/connections/globex/drift", "", MANAGES),
    ("get /v1/connections/{c}/suggestions", "/v1/connections/globex/suggestions", "", MANAGES),
    ("get /v1/connections/{c}/shares", "/v1/connections/globex/shares", "", MANAGES),
    (
        "post /v1/connections/{c}/shares/{share}/retry",
        "/v1/connections/globex/shares/SHARE/retry",
        "{}",
        EDITS,
    ),
    ("get /v1/objects", "/v1/objects", "", ALL),
    ("put /v1/objects", "/v1/objects", "name = 1", BOSS),
    ("get /v1/objects/{object}", "/v1/objects/Lead", "", READS),
    ("delete /v1/objects/{object}", "/v1/objects/None", "", BOSS),
    ("get /v1/objects/{object}/publishable", "/v1/objects/Lead/publishable", "", READS),
    ("post /v1/check/object", "/v1/check/object", "name = 1", BOSS),
    ("get /v1/records/{object}", "/v1/records/Lead", "", READS),
    ("post /v1/records/{object}", "/v1/records/Lead", r#"{"fields": {"LastName": "Ng"}}"#, CREATES),
    ("get /v1/records/{object}/{id}", "/v1/records/Lead/LEAD", "", READS),
    ("patch /v1/records/{object}/{id}", "/v1/records/Lead/LEAD", r#"{"fields": {"City": "Rome"}}"#, EDITS),
    ("delete /v1/records/{object}/{id}", "/v1/records/Lead/NONE", "", EDITS),
    ("get /v1/records/{object}/{id}/history", "/v1/records/Lead/LEAD/history", "", READS),
    ("post /v1/records/{object}/{id}/assign", "/v1/records/Lead/LEAD/assign", r#"{"owner": "ann"}"#, EDITS),
    ("get /v1/queues", "/v1/queues", "", ALL),
    ("get /v1/queues/{queue}", "/v1/queues/none", "", ALL),
    ("put /v1/queues/{queue}", "/v1/queues/emea", r#"{"objects": ["Lead"]}"#, BOSS),
    ("delete /v1/queues/{queue}", "/v1/queues/none", "", BOSS),
    ("get /v1/rules/{kind}", "/v1/rules/workflow", "", ALL),
    ("get /v1/rules/{kind}/{rule}", "/v1/rules/workflow/none", "", ALL),
    ("put /v1/rules/{kind}/{rule}", "/v1/rules/assignment/Lead", r#"{"entries": []}"#, BOSS),
    ("delete /v1/rules/{kind}/{rule}", "/v1/rules/workflow/none", "", BOSS),
    ("get /v1/rules/{kind}/{rule}/try", "/v1/rules/workflow/none/try", "", ALL),
    ("post /v1/rules/sharing/{rule}/apply", "/v1/rules/sharing/none/apply", "{}", MANAGES),
    ("get /v1/rule-failures", "/v1/rule-failures", "", ALL),
    ("post /v1/queues/{queue}/share", "/v1/queues/none/share", r#"{"connection": "globex"}"#, MANAGES),
    ("get /v1/records/{object}/{id}/tasks", "/v1/records/Lead/LEAD/tasks", "", &["boss"]),
    // It makes an account and a contact, too.
    ("post /v1/records/{object}/{id}/convert", "/v1/records/Lead/LEAD/convert", "{}", BOSS),
    ("get /v1/approvals", "/v1/approvals", "", ALL),
    ("post /v1/approvals", "/v1/approvals", r#"{"record": "LEAD", "field": "City", "approve": true}"#, EDITS),
    ("get /v1/records/{object}/{id}/field-history", "/v1/records/Lead/LEAD/field-history", "", READS),
    ("get /v1/records/{object}/{id}/as-of", "/v1/records/Lead/LEAD/as-of?seq=1000", "", READS),
    ("get /v1/records/{object}/{id}/explain", "/v1/records/Lead/LEAD/explain", "", READS),
    ("get /v1/explain/{seq}", "/v1/explain/1", "", BOSS),
    (
        "post /v1/batch",
        "/v1/batch",
        r#"{"operations": [{"op": "update", "object": "Lead", "id": "LEAD", "fields": {"City": "Rome"}}]}"#,
        EDITS,
    ),
    ("post /v1/shares", "/v1/shares", r#"{"connections": ["globex"], "object": "Lead", "all": true}"#, EDITS),
    ("post /v1/shares/stop", "/v1/shares/stop", r#"{"connection": "globex", "records": ["LEAD"]}"#, EDITS),
    ("get /v1/inbox", "/v1/inbox", "", ALL),
    (
        "get /v1/connections/{c}/subscribe/{remote}/account",
        "/v1/connections/globex/subscribe/Contact/account",
        "",
        MANAGES,
    ),
    (
        "put /v1/connections/{c}/subscribe/{remote}/account",
        "/v1/connections/globex/subscribe/Contact/account",
        "{}",
        MANAGES,
    ),
    (
        "delete /v1/connections/{c}/subscribe/{remote}/account",
        "/v1/connections/globex/subscribe/Contact/account",
        "",
        MANAGES,
    ),
    // There is no such share: whom it would concern is asked when there is.
    ("get /v1/connections/{c}/owners", "/v1/connections/globex/owners", "", MANAGES),
    ("put /v1/connections/{c}/owners", "/v1/connections/globex/owners", r#"{"users": {}}"#, MANAGES),
    ("delete /v1/connections/{c}/owners", "/v1/connections/globex/owners", "", MANAGES),
    ("post /v1/connections/{c}/owners/apply", "/v1/connections/none/owners/apply", "{}", MANAGES),
    ("get /v1/audit", "/v1/audit", "", BOSS),
    ("get /v1/conversion", "/v1/conversion", "", ALL),
    ("put /v1/conversion", "/v1/conversion", "{}", BOSS),
    ("delete /v1/conversion", "/v1/conversion", "", BOSS),
    (
        "post /v1/records/{object}/assign",
        "/v1/records/Lead/assign",
        r#"{"owner": "ann", "view": "none"}"#,
        EDITS,
    ),
    ("post /v1/inbox/preview", "/v1/inbox/preview", r#"{"connection": "globex", "shares": ["NONE"]}"#, ALL),
    // Nothing is subscribed: whom it would concern is asked when something is.
    ("post /v1/inbox/accept", "/v1/inbox/accept", r#"{"connection": "globex", "all": true}"#, ALL),
    ("post /v1/inbox/decline", "/v1/inbox/decline", r#"{"connection": "globex", "shares": ["NONE"]}"#, ALL),
    ("get /v1/views", "/v1/views", "", ALL),
    ("put /v1/views/{view}", "/v1/views/leads", r#"{"object": "Lead"}"#, BOSS),
    ("get /v1/views/{view}", "/v1/views/leads", "", READS),
    // Whose view it is is looked at when it is removed; there is none of this name.
    ("delete /v1/views/{view}", "/v1/views/none", "", ALL),
    ("get /v1/views/{view}/records", "/v1/views/leads/records", "", READS),
    ("get /v1/views/{view}/count", "/v1/views/leads/count", "", READS),
    ("get /v1/inbox-views", "/v1/inbox-views", "", ALL),
    ("get /v1/inbox-views", "/v1/inbox-views?all=true", "", MANAGES),
    ("put /v1/inbox-views/{view}", "/v1/inbox-views/leads", r#"{"object": "Lead"}"#, MANAGES),
    ("get /v1/inbox-views/{view}", "/v1/inbox-views/leads", "", &["boss", "manager", "seller"]),
    ("delete /v1/inbox-views/{view}", "/v1/inbox-views/none", "", MANAGES),
    ("get /v1/inbox-views/{view}/offers", "/v1/inbox-views/leads/offers", "", CREATES),
    ("get /v1/inbox-views/{view}/count", "/v1/inbox-views/leads/count", "", CREATES),
    ("get /v1/jobs", "/v1/jobs", "", ALL),
    ("get /v1/failures", "/v1/failures", "", MANAGES),
    ("get /v1/alarms", "/v1/alarms", "", MANAGES),
    ("get /v1/reports", "/v1/reports", "", ALL),
    ("get /v1/reports/{report}", "/v1/reports/lead-history", "", READS),
    (
        "put /v1/reports/{report}",
        "/v1/reports/mine",
        r#"{"object": "Lead", "rows": "records", "columns": ["Company"]}"#,
        BOSS,
    ),
    ("get /v1/reports/{report}/run", "/v1/reports/lead-history/run", "", READS),
    ("get /v1/reports/{report}/run", "/v1/reports/connections-with-accounts/run", "", BOSS),
    ("delete /v1/reports/{report}", "/v1/reports/none", "", BOSS),
    ("get /v1/changes", "/v1/changes", "", ALL),
    ("get /v1/changes", "/v1/changes?object=Lead", "", READS),
    ("get /v1/changes/stream", "/v1/changes/stream", "", ALL),
    ("get /v1/notices", "/v1/notices", "", ALL),
    ("post /v1/notices/read", "/v1/notices/read", "", ALL),
    ("get /v1/notice-settings", "/v1/notice-settings", "", ALL),
    ("put /v1/notice-settings", "/v1/notice-settings", "x = 1", BOSS),
    ("get /v1/users/{user}/notice-settings", "/v1/users/ann/notice-settings", "", BOSS),
    ("get /v1/users/{user}/notice-settings", "/v1/users/USER/notice-settings", "", ALL),
    ("put /v1/users/{user}/notice-settings", "/v1/users/USER/notice-settings", "x = 1", ALL),
    ("delete /v1/users/{user}/notice-settings", "/v1/users/ann/notice-settings", "", BOSS),
    ("delete /v1/users/{user}/notice-settings", "/v1/users/USER/notice-settings", "", ALL),
    ("get /v1/effects", "/v1/effects", "", MANAGES),
    ("post /v1/effects/{effect}/retry", "/v1/effects/NONE/retry", "{}", MANAGES),
    ("delete /v1/effects/{effect}", "/v1/effects/NONE", "", MANAGES),
    ("get /v1/invitations/contacts", "/v1/invitations/contacts", "", BOSS),
    ("post /v1/invitations/contacts", "/v1/invitations/contacts", "x = 1", MANAGES),
    ("post /v1/invitations/later", "/v1/invitations/later", "x = 1", MANAGES),
    ("post /v1/invitations/saved/{id}/send", "/v1/invitations/saved/NONE/send", "{}", MANAGES),
    // Who manages connections and does not read contacts sees none in them.
    ("get /v1/invitations/saved/{id}", "/v1/invitations/saved/NONE", "", BOSS),
    ("patch /v1/invitations/saved/{id}", "/v1/invitations/saved/NONE", "{}", BOSS),
    ("delete /v1/invitations/saved/{id}", "/v1/invitations/saved/NONE", "", MANAGES),
    ("get /v1/mail-templates", "/v1/mail-templates", "", MANAGES),
    ("get /v1/mail-templates/{name}", "/v1/mail-templates/none", "", MANAGES),
    ("put /v1/mail-templates/{name}", "/v1/mail-templates/none", "x = 1", BOSS),
    ("post /v1/mail-templates/{name}/preview", "/v1/mail-templates/none/preview", "x = 1", MANAGES),
    ("delete /v1/mail-templates/{name}", "/v1/mail-templates/none", "", BOSS),
    ("get /v1/finder", "/v1/finder", "", MANAGES),
    ("post /v1/finder", "/v1/finder", "x = 1", MANAGES),
    ("post /v1/finder/{id}/answer", "/v1/finder/NONE/answer", "x = 1", MANAGES),
    ("get /v1/directory", "/v1/directory", "", MANAGES),
    ("get /v1/templates", "/v1/templates", "", MANAGES),
    ("get /v1/templates/{template}", "/v1/templates/none", "", MANAGES),
    ("put /v1/templates/{template}", "/v1/templates/none", "x = 1", MANAGES),
    ("delete /v1/templates/{template}", "/v1/templates/none", "", MANAGES),
    ("post /v1/connections/{c}/template", "/v1/connections/none/template", "x = 1", MANAGES),
    ("get /v1/check", "/v1/check", "", MANAGES),
    ("get /v1/config", "/v1/config", "", BOSS),
    ("post /v1/config/plan", "/v1/config/plan", "x = 1", ALL),
    ("post /v1/config/apply", "/v1/config/apply", "x = 1", ALL),
    ("get /v1/log", "/v1/log", "", BOSS),
    ("get /v1/log/stream", "/v1/log/stream", "", BOSS),
    ("get /v1/log/verify", "/v1/log/verify", "", BOSS),
    ("get /v1/log/export", "/v1/log/export", "", BOSS),
];

/// The operations of the document that need a token.
fn operations(org: &Org) -> BTreeSet<String> {
    let document = org.get("/v1/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let closed = item.as_object().unwrap().iter().filter(|(_, operation)| operation["x-needs"] != "open");
        closed.map(move |(method, _)| format!("{method} {path}"))
    });
    operations.collect()
}

/// A role for each name, and a user of that name with a token.
fn people(org: &Org) -> BTreeMap<&'static str, String> {
    let lead = |rights: Json| json!({ "objects": { "Lead": rights } });
    let definitions = [
        json!({"modify_all_data": true}),
        json!({"manage_connections": true}),
        lead(json!({"read": true, "create": true, "edit": true})),
        lead(json!({"read": true})),
        json!({"portal": true, "objects": {"Lead": {"read": true, "edit": true}}}),
        json!({}),
    ];
    let people = ROLES.iter().zip(definitions).map(|(name, role)| {
        assert_eq!(org.put(&format!("/v1/roles/{name}"), &role).status, 200, "{name}");
        let added = org.post("/v1/users", &json!({"user": name, "role": name}));
        assert_eq!(added.status, 201, "{}", added.text());
        let issued = org.post(&format!("/v1/users/{name}/tokens"), &json!({"label": "test"}));
        (*name, issued.json()["token"].as_str().unwrap().to_owned())
    });
    people.collect()
}

/// Whether an answer, or the only item in it, was refused for want of permission.
fn not_permitted(status: u16, text: &str) -> bool {
    let code = serde_json::from_str::<Json>(text).unwrap_or_default();
    status == 403
        || code["results"][0]["code"] == "no_permission"
        || code["jobs"][0]["refused"]["code"] == "no_permission"
}

#[test]
fn every_operation_is_asked_by_every_kind_of_user() {
    let mut org = Org::start();
    let lead = org.lead(&json!({"LastName": "Ng", "Company": "Initech"}));
    let connection = org.connect("globex", "globex");
    assert_eq!(org.put("/v1/connections/globex/publish/Lead", &json!({"fields": ["LastName"]})).status, 200);
    let shared =
        org.post("/v1/shares", &json!({"connections": [connection], "object": "Lead", "records": [lead]}));
    let share = shared.json()["results"][0]["result"]["id"].as_str().unwrap().to_owned();
    let asked: BTreeSet<String> = QUESTIONS.iter().map(|(operation, ..)| (*operation).to_owned()).collect();
    assert_eq!(asked, operations(&org), "every operation that needs a token has its question, and no other");

    let people = people(&org);
    let fill = |text: &str, user: &str| {
        let none = "00000000000000000000000000";
        text.replace("LEAD", &lead).replace("SHARE", &share).replace("NONE", none).replace("USER", user)
    };
    let mut wrong = Vec::new();
    for (operation, path, body, may) in QUESTIONS {
        let (method, _) = operation.split_once(' ').unwrap();
        // Whoever may do it does it last, so that the others find the same as he.
        for user in ROLES.iter().rev() {
            org.token.clone_from(&people[user]);
            let media_type = if body.starts_with('{') { "application/json" } else { "application/toml" };
            let (path, body) = (fill(path, user), fill(body, user));
            let (status, text) = if path.ends_with("/stream") {
                // What streams does not end.
                (org.status_of(method, &path), String::new())
            } else {
                let answer = org.send(&method.to_uppercase(), &path, media_type, body.as_bytes());
                (answer.status, answer.text())
            };
            assert!(status != 401 && status < 500, "{user} {operation}: {text}");
            if not_permitted(status, &text) == may.contains(user) {
                wrong.push(format!("{user} {operation}: {status} {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Generated from the document, so that no operation can be forgotten: asked about a connection, record or
/// share of another org, each is answered with what is missing, to whoever asks, and nothing is changed.
#[test]
fn every_operation_about_what_is_another_orgs_finds_nothing() {
    let mut org = Org::start();
    org.connect("globex", "globex");
    let people = people(&org);
    let seq = org.get("/v1/status").json()["seq"].clone();
    let document = org.get("/v1/openapi.json").json();
    let (mut asked, mut wrong) = (0, Vec::new());
    // Objects and kinds of rules are names that every org has.
    let names_one = |operation: &&String| {
        let mut named = operation.split('/').filter(|part| part.starts_with('{'));
        named.any(|part| !["{object}", "{remote}", "{kind}"].contains(&part))
    };
    for operation in operations(&org).iter().filter(names_one) {
        let (method, path) = operation.split_once(' ').unwrap();
        // An id that another org could have: well formed, and not here.
        let other = "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_lowercase();
        let filled: Vec<&str> = path
            .split('/')
            .map(|part| match part {
                "{object}" | "{remote}" => "Lead",
                "{kind}" => "sharing",
                "{seq}" => "999999999",
                part if part.starts_with('{') => other.as_str(),
                part => part,
            })
            .collect();
        let path = filled.join("/");
        // What is set under a name of one's own (PUT) is no matter of another org's.
        if method == "put" && !path.contains("/connections/") {
            continue;
        }
        let has_body =
            document["paths"][operation.split_once(' ').unwrap().1][method]["requestBody"].is_object();
        let body = if has_body { "{}" } else { "" };
        for user in ROLES {
            org.token.clone_from(&people[user]);
            asked += 1;
            let (status, text) = if path.ends_with("/stream") {
                (org.status_of(method, &path), String::new())
            } else {
                let answer = org.send(&method.to_uppercase(), &path, "application/json", body.as_bytes());
                (answer.status, answer.text())
            };
            // Whoever removes what is not there has nothing to do; who is not there has no settings.
            let nothing = method == "delete" && text.contains("\"changed\":false")
                || text.starts_with("{\"inherited\":true,");
            let refused = (400..500).contains(&status) || nothing;
            if !refused || status == 401 {
                wrong.push(format!("{user} {operation}: {status} {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked > 300, "{asked} were asked");
    org.token.clone_from(&people["boss"]);
    assert_eq!(org.get("/v1/status").json()["seq"], seq, "nothing was changed");
}

#[test]
fn a_token_that_opens_nothing_says_why() {
    let mut org = Org::start();
    assert_eq!(org.post("/v1/users", &json!({"user": "bob"})).status, 201);
    let issued = org.post("/v1/users/bob/tokens", &json!({"label": "laptop"})).json();
    let (id, token) =
        (issued["id"].as_str().unwrap().to_owned(), issued["token"].as_str().unwrap().to_owned());
    let listed = org.get("/v1/users/bob/tokens").json()["tokens"][0].clone();
    assert_eq!(
        (&listed["token"], &listed["label"], &listed["status"]),
        (&json!(id), &json!("laptop"), &json!("valid"))
    );
    assert!(token.ends_with(listed["hint"].as_str().unwrap()) && !listed.to_string().contains(&token));
    let ann = std::mem::replace(&mut org.token, token);
    let code = |org: &Org| {
        let answer = org.get("/v1/status");
        if answer.status == 200 { String::new() } else { answer.problem().1 }
    };
    assert_eq!(code(&org), "");
    let as_ann = |org: &mut Org, active: bool| {
        let bobs = std::mem::replace(&mut org.token, ann.clone());
        assert_eq!(org.patch("/v1/users/bob", &json!({ "active": active })).status, 200);
        org.token = bobs;
    };
    as_ann(&mut org, false);
    assert_eq!(code(&org), "not_active");
    as_ann(&mut org, true);
    assert_eq!(code(&org), "");
    let revoked = org.send("DELETE", &format!("/v1/users/bob/tokens/{id}"), "application/json", b"");
    assert_eq!(revoked.status, 200, "everybody may revoke their own: {}", revoked.text());
    assert_eq!(code(&org), "token_revoked");
}

#[test]
fn a_stream_ends_with_the_right_to_it() {
    let mut org = Org::start();
    let people = people(&org);
    let ann = std::mem::replace(&mut org.token, people["boss"].clone());
    let mut stream = org.follow("/v1/log/stream");
    org.token = ann;
    assert_eq!(org.patch("/v1/users/boss", &json!({"active": false})).status, 200);
    stream.end();
}

#[test]
fn the_org_shows_its_edition_and_licences() {
    let org = Org::start();
    assert_eq!(org.patch("/v1/org", &json!({"connection_licences": 1})).json()["changed"], true);
    assert_eq!(org.post("/v1/invitations", &json!({})).status, 201);
    let shown = org.get("/v1/org").json();
    assert_eq!(
        (&shown["edition"], &shown["sharing_enabled"], &shown["connection_licences"]),
        (&json!("enterprise"), &json!(true), &json!({"max": 1, "used": 1}))
    );
    assert_eq!(org.get("/v1/connections").json()["licences"], shown["connection_licences"]);
    let second = org.post("/v1/invitations", &json!({}));
    assert_eq!((second.status, second.problem().1.as_str()), (409, "no_licence"));
    assert!(second.text().contains("1 of 1 connection licences"), "{}", second.text());
    let personal = org.patch("/v1/org", &json!({"edition": "personal"}));
    assert_eq!(personal.problem().1, "open_connections");
    assert_eq!(org.patch("/v1/org", &json!({"edition": "gold"})).problem().1, "bad_body");
    assert_eq!(org.post("/v1/org/enable", &json!({})).json()["changed"], false);
}

#[test]
fn what_may_not_be_read_is_left_out() {
    let mut org = Org::start();
    org.lead(&json!({"LastName": "Ng", "Company": "Initech"}));
    org.connect("globex", "globex");
    let people = people(&org);
    org.token.clone_from(&people["reader"]);
    let objects = org.get("/v1/objects").json();
    let names: Vec<_> = objects["objects"].as_array().unwrap().iter().map(|object| &object["name"]).collect();
    assert_eq!(names, ["Lead"]);
    let status = org.get("/v1/status").json();
    assert_eq!((&status["records"], &status["connections"]), (&json!({"Lead": 1}), &json!([])));
    let refused = org.get("/v1/records/Account");
    assert!(refused.text().contains("reader needs read on Account"), "{}", refused.text());
    org.token.clone_from(&people["manager"]);
    let status = org.get("/v1/status").json();
    assert_eq!((&status["records"], status["connections"].as_array().unwrap().len()), (&json!({}), 1));
}

#[test]
fn a_field_that_the_user_cannot_edit_is_not_offered() {
    let mut org = Org::start();
    org.connect("globex", "globex");
    let lead = json!({"read": true, "create": true, "edit": true, "read_only": ["City"]});
    let seller = json!({"manage_connections": true, "objects": {"Lead": lead}});
    let people = people(&org);
    assert_eq!(org.put("/v1/roles/seller", &seller).status, 200);
    org.token.clone_from(&people["seller"]);
    let shown = org.get("/v1/objects/Lead").json();
    let updatable = |name: &str| {
        let fields = shown["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap()["updatable"].clone()
    };
    assert_eq!((updatable("City"), updatable("LastName")), (json!(false), json!(true)));
    let publish = |body: &Json| org.put("/v1/connections/globex/publish/Lead", body);
    let refused = publish(&json!({"fields": ["City"]}));
    assert_eq!((refused.status, refused.problem().1.as_str()), (403, "no_permission"));
    assert!(refused.text().contains("edit on Lead.City"), "{}", refused.text());
    assert_eq!(publish(&json!({"all": true})).status, 200);
    let published = org.get("/v1/connections/globex/publish/Lead").text();
    assert!(published.contains("\"LastName\"") && !published.contains("\"City\""), "{published}");
}

#[test]
fn people_are_added_changed_and_grouped() {
    let org = Org::start();
    assert_eq!(org.post("/v1/users", &json!({"user": "bob", "email": "bob@example.org"})).status, 201);
    let group = json!({"users": ["ann"], "roles": ["standard"]});
    assert_eq!(org.put("/v1/groups/emea", &group).json()["changed"], true);
    assert_eq!(org.put("/v1/groups/emea", &group).json()["changed"], false);
    assert_eq!(org.get("/v1/groups/emea").json(), json!({"name": "emea", "members": group}));
    let users = org.get("/v1/users").json();
    let user = |name: &str| {
        users["users"].as_array().unwrap().iter().find(|user| user["user"] == name).unwrap().clone()
    };
    let (bob, system) = (user("bob"), user("connection.user"));
    assert_eq!(
        (&bob["email"], &bob["role"], &bob["groups"]),
        (&json!("bob@example.org"), &json!("standard"), &json!(["emea"]))
    );
    assert_eq!(
        (&system["system"], &system["role"], &system["groups"]),
        (&json!(true), &json!(null), &json!([]))
    );
    for (answer, code) in [
        (org.post("/v1/users", &json!({"user": "bob"})), "user_exists"),
        (org.post("/v1/users", &json!({"user": "eve", "email": "eve"})), "bad_email"),
        (org.post("/v1/users", &json!({"user": "eve", "role": "none"})), "unknown_role"),
        (org.patch("/v1/users/eve", &json!({"active": false})), "unknown_user"),
        (org.patch("/v1/users/ann", &json!({"role": "standard"})), "last_administrator"),
        (org.put("/v1/groups/emea", &json!({"users": ["eve"]})), "unknown_user"),
        (org.put("/v1/roles/administrator", &json!({})), "built_in_role"),
        (org.put("/v1/roles/sales", &json!({"portal": true, "manage_connections": true})), "portal_role"),
        (org.put("/v1/roles/sales", &json!({"other_objects": {"edit": true}})), "bad_role"),
        (org.get("/v1/roles/none"), "unknown_role"),
        (org.get("/v1/groups/none"), "unknown_group"),
    ] {
        assert_eq!(answer.problem().1, code);
    }
}
