//! The standard objects, which every org has from the start and may extend.

use super::ObjectSchema;

/// The files of the standard objects: name and TOML text, parents before their children.
#[must_use]
pub const fn standard_sources() -> [(&'static str, &'static str); 6] {
    [
        ("Account", include_str!("../../../../schemas/objects/account.toml")),
        ("Contact", include_str!("../../../../schemas/objects/contact.toml")),
        ("Lead", include_str!("../../../../schemas/objects/lead.toml")),
        ("Opportunity", include_str!("../../../../schemas/objects/opportunity.toml")),
        ("Case", include_str!("../../../../schemas/objects/case.toml")),
        ("Task", include_str!("../../../../schemas/objects/task.toml")),
    ]
}

/// The standard objects (S2S-23), in the order of [`standard_sources`].
#[must_use]
pub fn standard_objects() -> Vec<ObjectSchema> {
    let object = |text| ObjectSchema::from_toml(text).and_then(|file| file.build(None));
    // The files are part of the program, and a test builds and checks each of them.
    #[expect(clippy::expect_used, reason = "constant input, tested")]
    standard_sources().map(|(_, text)| object(text).expect("a standard object parses")).into()
}
