//! XML of metadata files as a small tree of elements and texts.
//!
//! The files come from outside. So their size, depth and number of elements are bounded, a document
//! type (the only way to define entities, and to make a small file grow) is refused, and nothing is
//! ever fetched. Attributes and namespaces say nothing that is needed and are passed over.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// Most bytes of one file: a large object with all its fields inline is about 2 MiB.
pub(super) const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Deepest nesting; metadata has about six levels.
const DEPTH_MAX: usize = 32;
/// Most elements of one file.
const ELEMENTS_MAX: usize = 500_000;

/// An element: its name without prefix, its text, and the elements in it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    text: String,
    children: Vec<Self>,
}

/// Why a text is not taken as XML, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(super) struct XmlError {
    /// The line, from 1.
    pub(super) line: usize,
    /// One sentence: what is wrong, and the remedy.
    pub(super) message: String,
}

impl Element {
    /// The texts of the children of this name, in order.
    pub(super) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).map(Self::text)
    }

    /// The text of the first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&str> {
        self.first(name).map(Self::text)
    }

    /// The first child of this name.
    pub(super) fn first(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of this name, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Whether the first child of this name says true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.child(name) == Some("true")
    }

    /// The text without white space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }
}

/// Reads a document.
///
/// # Errors
/// Broken XML, a document type, an entity that XML itself does not know, or more than the limits.
pub(super) fn parse(text: &str) -> Result<Element, XmlError> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        let event = reader.read_event();
        let here = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let fault = |message: String| {
            let before = text.as_bytes().get(..here).unwrap_or(text.as_bytes());
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            XmlError { line, message }
        };
        let event = event.map_err(|error| fault(format!("not XML: {error}")))?;
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                elements += 1;
                if open.len() >= DEPTH_MAX {
                    return Err(fault(format!("elements are nested deeper than {DEPTH_MAX} levels")));
                }
                if elements > ELEMENTS_MAX {
                    return Err(fault(format!("the file has more than {ELEMENTS_MAX} elements; split it")));
                }
                open.push(Element { name: tag.local_name().as_ref().to_owned(), ..Element::default() });
                if matches!(event, Event::Empty(_)) {
                    close(&mut open, &mut root);
                }
            }
            Event::End(_) => close(&mut open, &mut root),
            Event::Text(piece) => add(&mut open, &piece.xml10_content()),
            Event::CData(piece) => add(&mut open, &piece.xml10_content()),
            Event::GeneralRef(entity) => {
                let name = entity.xml10_content();
                let character = entity.resolve_char_ref().ok().flatten().map(String::from);
                let known = character.or_else(|| resolve_predefined_entity(&name).map(str::to_owned));
                let known = known.ok_or_else(|| {
                    fault(format!("the entity &{name}; is not one of XML's own; write the character"))
                })?;
                add(&mut open, &known);
            }
            Event::DocType(_) => {
                return Err(fault("a document type is not taken; remove the line of <!DOCTYPE".to_owned()));
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => {
                return match (open.last(), root) {
                    (None, Some(root)) => Ok(root),
                    (Some(element), _) => {
                        Err(fault(format!("the file ends before </{}>; it was cut off", element.name)))
                    }
                    (None, None) => Err(fault("the file has no element".to_owned())),
                };
            }
        }
    }
}

/// Ends the innermost element.
fn close(open: &mut Vec<Element>, root: &mut Option<Element>) {
    let Some(element) = open.pop() else { return };
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_texts_and_characters() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<!-- note --><a xmlns=\"urn:x\"><b\n>1 &lt; 2 &amp;&#x26; \
                    <![CDATA[<3>]]></b><p:b/><c>true</c></a>";
        let root = parse(text).unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.texts("b").collect::<Vec<_>>(), ["1 < 2 && <3>", ""]);
        assert!(root.flag("c") && !root.flag("b") && !root.flag("d"));
    }

    #[test]
    fn what_is_refused_and_where() {
        let bomb = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxx\"><!ENTITY y \"&x;&x;\">]>\n<a>&y;</a>";
        for (text, line, part) in [
            (bomb, 1, "document type"),
            ("<a>\n&y;</a>", 2, "&y;"),
            ("<a>\n\n<b></a>", 3, "not XML"),
            ("<a>\n<b>", 2, "before </b>"),
            ("<a>&#0;</a>", 1, "&#0;"),
            ("plain", 1, "no element"),
            ("", 1, "no element"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.message.contains(part), "{text:?}: {error}");
        }
        let deep = "<a>".repeat(1_000_000);
        assert!(parse(&deep).unwrap_err().message.contains("nested deeper"));
    }
}
