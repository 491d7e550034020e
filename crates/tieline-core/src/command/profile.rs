//! Commands about what an org tells of itself.

/// What is asked of the org's own description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileCommand {
    /// Says which company the org belongs to: partners are told (S2S-14).
    SetCompany {
        /// Its name; an empty one is none.
        company: String,
    },
}
