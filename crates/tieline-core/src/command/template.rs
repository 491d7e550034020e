//! Commands about connection templates.

use crate::template::ConnectionTemplate;
use crate::{ConnectionId, ConnectionTemplateName};

/// One thing asked of connection templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateCommand {
    /// Defines a template, or changes it.
    Set {
        /// The whole definition.
        template: Box<ConnectionTemplate>,
    },
    /// Saves what a connection has as a template.
    Save {
        /// Its name.
        name: ConnectionTemplateName,
        /// The connection.
        connection: ConnectionId,
    },
    /// Removes a template; connections keep what they got from it.
    Remove {
        /// The template.
        name: ConnectionTemplateName,
    },
    /// Gives a template to a connection: at once, or as soon as it is active.
    Give {
        /// The template.
        name: ConnectionTemplateName,
        /// The connection.
        connection: ConnectionId,
    },
}
