//! XML: elements and attributes, each under its name; what a sibling names (`<add key="Password" value="…"/>`,
//! `<property name="password">…</property>`, a property list's `<key>`) goes by that name.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{
    keys::{self, shown_key},
    leaf::{Leaf, Read, Sense},
    tree::{DEEPEST, MOST_LEAVES, is_name, is_value},
};

pub(super) fn xml(text: &str, _sense: Sense) -> Option<Read> {
    if !text.starts_with('<') || !text.ends_with('>') {
        return None;
    }
    let mut reader = Reader::from_str(text);
    let mut document = Document::default();
    // What stands before a mistake is read; a text that is no XML has none of it.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Eof => break,
            event => document.take(&event),
        }
        if document.leaves.len() > MOST_LEAVES || document.open.len() > DEEPEST {
            break;
        }
    }
    document.elements.then_some(Read::Leaves(document.leaves))
}

#[derive(Default)]
struct Document {
    leaves: Vec<Leaf>,
    open: Vec<Element>,
    elements: bool,
    /// A property list's key, which says what the next element is.
    key: Option<String>,
}

struct Element {
    name: String,
    /// What it goes by: its own name, or what an attribute calls it.
    goes_by: String,
    text: String,
}

impl Document {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(start) => {
                let element = self.element(start);
                self.open.push(element);
            }
            Event::Empty(start) => {
                self.element(start);
            }
            Event::Text(text) => self.text(text),
            Event::CData(text) => self.text(text),
            Event::GeneralRef(reference) => {
                let written = format!("&{};", &**reference);
                let meant = quick_xml::escape::unescape(&written).map(|text| text.into_owned());
                self.text(&meant.unwrap_or(written));
            }
            Event::Comment(text) => self.leaves.push(Leaf::new(self.place("comment"), Sense::Open, text)),
            Event::End(_) => self.end(),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn element(&mut self, start: &BytesStart<'_>) -> Element {
        self.elements = true;
        let name = String::from_utf8_lossy(start.name().as_ref().as_ref()).into_owned();
        let attributes: Vec<(String, String)> = start
            .attributes()
            .flatten()
            .filter_map(|attribute| {
                let key = String::from_utf8_lossy(attribute.key.as_ref().as_ref()).into_owned();
                Some((key, attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned()))
            })
            .collect();
        let called = attributes.iter().find(|(key, _)| is_name(key)).map(|(_, value)| value.clone());
        let goes_by = called.clone().or_else(|| self.key.take()).unwrap_or_else(|| name.clone());
        for (key, value) in &attributes {
            let sense = match &called {
                Some(called) if is_value(key) => keys::says(called).max(keys::says(key)),
                Some(_) if is_name(key) => Sense::Plain,
                _ => keys::says(key),
            };
            let by = called.as_deref().filter(|_| is_value(key)).unwrap_or(key);
            self.leaves.push(Leaf::new(self.place(&format!("{name}/@{}", shown_key(by))), sense, value));
        }
        Element { name, goes_by, text: String::new() }
    }

    fn end(&mut self) {
        let Some(element) = self.open.pop() else { return };
        let text = element.text.trim();
        if element.name == "key" && !text.is_empty() {
            self.key = Some(text.to_owned());
            return;
        }
        if text.is_empty() {
            return;
        }
        let own = keys::says(&element.goes_by);
        // `<Password><Value>…`: what stands above says it.
        let above = self.open.last().map_or(Sense::Open, |above| keys::says(&above.goes_by));
        let by_above = own == Sense::Open || is_value(&element.name);
        let sense = if by_above { own.max(above) } else { own };
        let place = self.place(&shown_key(&element.goes_by));
        self.leaves.push(Leaf::new(place, sense, text));
    }

    fn place(&self, last: &str) -> String {
        let names = self.open.iter().map(|element| shown_key(&element.goes_by));
        names.chain([last.to_owned()]).collect::<Vec<_>>().join("/")
    }
}
