//! Texts that were made to break software: each goes from one org to the other byte for byte, or is
//! refused by name at the door.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::kit::{Pair, list};

/// Most characters of the description of a lead.
const LONGEST: usize = 32_000;

/// Texts that are kept.
fn kept() -> Vec<String> {
    let short = [
        // What programs take for something else.
        "null",
        "NULL",
        "undefined",
        "nil",
        "None",
        "true",
        "false",
        "NaN",
        "Infinity",
        "-0",
        "0",
        "007",
        "1e1000",
        "0x1F",
        "1/0",
        "1,000.00",
        "9223372036854775808",
        "2026-02-30",
        "12:00",
        "+49 30 1",
        "[]",
        "{}",
        "\"\"",
        "''",
        // Other languages' commands.
        "'; DROP TABLE leads; --",
        "1' OR '1'='1",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "&lt;b&gt; &amp; &#0;",
        "{{7*7}} ${7*7} #{7*7} <%= 7*7 %>",
        "%s%n%p%x",
        "{0} {:?} {}",
        "$(reboot) `reboot`",
        "=cmd|' /C calc'!A0",
        "+SUM(1)",
        "-1",
        "@import",
        "../../../etc/passwd",
        "..\\..\\windows",
        "C:\\con\\nul",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "\\u0000 \\x00 \\n",
        "a\\",
        "\"quoted\", comma; semicolon",
        "tl.globex.*.>",
        "$JS.API.STREAM.NAMES",
        "Bearer tl_test",
        // Characters.
        "Ω≈ç√∫˜µ≤≥÷",
        "田中さんにあげて下さい",
        "العربية مع English",
        "\u{202e}evil\u{202c}",
        "\u{2066}\u{2069}",
        "zero\u{200b}width\u{200d}joiner\u{feff}",
        "\u{feff}first",
        "e\u{301} is not é",
        "T̗̺͖̹̯͓Ṯ̤͍̥͇͈h̲́",
        "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏿",
        "𝒯𝓮𝔁𝓽 𠜎",
        "ﷺ ﷽",
        "ǅ ß ẞ İ ı ſ",
        "\u{fffd}\u{fffe}\u{ffff}\u{10ffff}",
        "\u{d7ff}\u{e000}",
        "soft\u{ad}hyphen",
        "\u{2028}line\u{2029}paragraph",
        "tab\tand\r\nline\rbreaks\n",
        "  blanks around  ",
        "\u{a0}\u{3000}",
        " ",
        "\n",
    ];
    let mut texts: Vec<String> = short.into_iter().map(str::to_owned).collect();
    texts.extend([
        "x".repeat(LONGEST),
        "ß".repeat(LONGEST),
        "👍".repeat(LONGEST),
        "\"\\".repeat(LONGEST / 2),
    ]);
    texts
}

/// Texts that are refused, with the code of the reason.
fn refused() -> Vec<(String, &'static str)> {
    let mut texts: Vec<(String, &str)> =
        vec![("x".repeat(LONGEST + 1), "too_long"), ("👍".repeat(LONGEST + 1), "too_long")];
    for control in ["\0", "\u{1b}[31m", "\u{7}", "\u{8}", "\u{7f}", "\u{85}", "\u{9b}"] {
        texts.push((format!("a{control}b"), "control_character"));
    }
    texts
}

#[test]
fn hostile_texts_arrive_byte_for_byte_or_are_refused_by_name() {
    let pair = Pair::start();
    let (kept, refused) = (kept(), refused());
    assert!(kept.len() > 60, "{}", kept.len());
    // One kind after the other in one batch, so that the bad stand between the good.
    let mut texts: Vec<&str> = kept.iter().map(String::as_str).collect();
    for (n, (text, _)) in refused.iter().enumerate() {
        texts.insert(n * 5, text);
    }
    let operation = |(n, text): (usize, &&str)| {
        let fields = json!({ "LastName": format!("Text {n}"), "Company": "X", "Description": text });
        json!({ "op": "create", "object": "Lead", "fields": fields })
    };
    let operations: Vec<Json> = texts.iter().enumerate().map(operation).collect();
    let answer = pair.a.api.must("POST", "/v1/batch", &json!({ "operations": operations }));
    assert_eq!(answer["done"], kept.len(), "{:.2000}", answer.to_string());

    let mut leads = BTreeMap::new();
    for (text, result) in texts.iter().zip(list(&answer["results"])) {
        let expected = refused.iter().find(|(bad, _)| bad == text).map(|(_, code)| *code);
        assert_eq!(result["reasons"][0]["code"].as_str(), expected, "{text:.60?}: {result}");
        assert_eq!(result["ok"], expected.is_none());
        if let Some(id) = result["id"].as_str() {
            leads.insert(id.to_owned(), *text);
        }
    }
    let ids: Vec<&String> = leads.keys().collect();
    let forwarded = pair.a.api.must(
        "POST",
        "/v1/shares",
        &json!({ "connections": [pair.id], "object": "Lead", "records": ids }),
    );
    assert!(list(&forwarded["results"]).all(|result| result["result"]["ok"] == true), "{forwarded}");
    for (lead, text) in &leads {
        let copy = pair.copy_of(lead);
        for (api, id) in [(&pair.a.api, lead), (&pair.b.api, &copy)] {
            let arrived = api.until("the text", &format!("/v1/records/Lead/{id}"), |seen| {
                Some(seen["fields"]["Description"].as_str()?.to_owned())
            });
            assert!(arrived.as_bytes() == text.as_bytes(), "{text:.60?} became {arrived:.60?}");
        }
    }
    pair.finish();
}
