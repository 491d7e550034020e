//! Secrets for webhooks: shown once, and nowhere else.

use serde_json::json;

use crate::kit::Org;

#[test]
fn a_secret_for_webhooks_is_shown_once_and_is_nowhere_else() {
    let mut org = Org::start();
    let made = org.post("/v1/webhook-secrets", &json!({ "name": "hooks" }));
    assert_eq!(made.status, 201, "{}", made.text());
    let first = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("tlw_") && first.len() > 40, "{first}");
    assert_eq!(org.post("/v1/webhook-secrets", &json!({ "name": "hooks" })).problem().1, "secret_exists");
    assert_eq!(org.post("/v1/webhook-secrets", &json!({ "name": "a b" })).problem().1, "bad_body");
    assert_eq!(
        org.keyed("k", "POST", "/v1/webhook-secrets", &json!({ "name": "x" })).problem().1,
        "key_not_taken"
    );
    let rotated = org.post("/v1/webhook-secrets/hooks/rotate", &json!({})).json();
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(org.post("/v1/webhook-secrets/none/rotate", &json!({})).problem().1, "unknown_secret");

    // What signs with it is told, and what is named and missing.
    let rule = |secret: &str| json!({ "object": "Lead", "actions": [{ "webhook": { "url": "https://hooks.example/x", "secret": secret } }] });
    assert_eq!(org.put("/v1/rules/workflow/told", &rule("hooks")).status, 200);
    assert_eq!(org.put("/v1/rules/workflow/lost", &rule("gone")).status, 200);
    let list = org.get("/v1/webhook-secrets").json();
    assert_eq!(list["secrets"][0]["used_by"], json!(["workflow rule told"]), "{list}");
    assert!(list["secrets"][0]["former_until"].is_string(), "{list}");
    assert_eq!(list["missing"], json!([{ "name": "gone", "used_by": ["workflow rule lost"] }]));
    let remove = |org: &Org| org.send("DELETE", "/v1/webhook-secrets/hooks", "application/json", b"");
    assert_eq!(remove(&org).problem().1, "secret_in_use");

    // Neither answers nor exports nor the log hold one.
    for path in [
        "/v1/webhook-secrets",
        "/v1/config",
        "/v1/log?limit=1000",
        "/v1/log/export",
        "/v1/status",
        "/metrics",
    ] {
        let text = org.get(path).text();
        assert!(!text.contains(&first) && !text.contains(&second), "{path}");
    }
    assert_eq!(org.send("DELETE", "/v1/rules/workflow/told", "application/json", b"").status, 200);
    assert_eq!(remove(&org).status, 200);
    assert_eq!(remove(&org).problem().1, "unknown_secret");
    // The audit says who did what with it; what was refused did nothing.
    let audit = org.get("/v1/audit").json();
    let entries = audit["entries"].as_array().unwrap().iter().rev();
    let told: Vec<_> = entries
        .filter(|entry| entry["action"].as_str().unwrap().starts_with("webhook secret"))
        .map(|entry| [entry["action"].clone(), entry["actor"].clone(), entry["detail"].clone()])
        .collect();
    let done = |what: &str| [json!(format!("webhook secret {what}")), json!("ann"), json!("hooks")];
    assert_eq!(told, ["made", "rotated", "removed"].map(done), "{audit}");
    org.stop();
    assert!(!holds(org.dir(), &second), "nothing of it stays on disk");
}

/// Whether a file below `dir` holds `text`.
fn holds(dir: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
