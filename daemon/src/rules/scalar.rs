//! Where each byte of a YAML scalar's text stands in the file.
//!
//! The scalar is read a second time, by its style alone, and every byte of its text notes where it came from; what a line
//! break was folded into, or an escape stands for, came from nowhere. When this reading and the parser's differ, nothing is
//! known, and nothing is changed.

use super::yaml::Scalar;
use granit_parser::ScalarStyle;
use std::ops::Range;

/// For a byte of the text that stands nowhere in the file.
const NOWHERE: usize = usize::MAX;

/// Text bytes to file bytes.
#[derive(Clone, PartialEq, Debug)]
pub struct Places(Vec<usize>);

impl Places {
    /// None: this way of writing is not understood well enough to change it.
    pub fn of(file: &str, scalar: &Scalar) -> Option<Places> {
        let raw = file.get(scalar.raw.clone())?;
        let mut read = Read { raw, start: scalar.raw.start, text: String::new(), places: Vec::new() };
        match scalar.style {
            ScalarStyle::Plain => read.flow(0..raw.len(), Quotes::None)?,
            ScalarStyle::SingleQuoted => read.flow(inside(raw, '\'')?, Quotes::Single)?,
            ScalarStyle::DoubleQuoted => read.flow(inside(raw, '"')?, Quotes::Double)?,
            ScalarStyle::Literal => read.block(file, &scalar.text, false)?,
            ScalarStyle::Folded => read.block(file, &scalar.text, true)?,
        }
        (read.text == scalar.text).then_some(Places(read.places))
    }

    /// Where a part of the text stands; None: not in one piece.
    pub fn span(&self, part: Range<usize>) -> Option<Range<usize>> {
        let places = self.0.get(part.clone())?;
        let first = *places.first()?;
        let whole = places.iter().enumerate().all(|(at, place)| *place != NOWHERE && *place == first + at);
        whole.then(|| first..first + part.len())
    }

    /// The file's byte behind the last one of the text that stands there.
    pub fn end(&self) -> Option<usize> {
        self.0.iter().rev().find(|place| **place != NOWHERE).map(|place| place + 1)
    }

    /// The file's byte at, or next before, a byte of the text.
    pub fn near(&self, at: usize) -> Option<usize> {
        let before = &self.0[..(at + 1).min(self.0.len())];
        before.iter().rev().find(|place| **place != NOWHERE).copied()
    }
}

fn inside(raw: &str, quote: char) -> Option<Range<usize>> {
    (raw.len() >= 2 && raw.starts_with(quote) && raw.ends_with(quote)).then(|| 1..raw.len() - 1)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

struct Read<'a> {
    raw: &'a str,
    /// The file's byte where `raw` begins.
    start: usize,
    text: String,
    places: Vec<usize>,
}

/// A line's content without its break, and the break's length; 0: the text ends.
fn line_at(text: &str, at: usize) -> (Range<usize>, usize) {
    let rest = &text[at..];
    match rest.find(['\n', '\r']) {
        None => (at..text.len(), 0),
        Some(len) => (at..at + len, if rest[len..].starts_with("\r\n") { 2 } else { 1 }),
    }
}

impl Read<'_> {
    fn take(&mut self, part: Range<usize>) {
        self.text.push_str(&self.raw[part.clone()]);
        self.places.extend(part.map(|at| self.start + at));
    }

    fn put(&mut self, made: &str) {
        self.text.push_str(made);
        self.places.resize(self.text.len(), NOWHERE);
    }

    /// What stands in quotes or in none: a break between two lines is a space, each empty line one break.
    fn flow(&mut self, within: Range<usize>, quotes: Quotes) -> Option<()> {
        let raw = &self.raw[..within.end];
        let mut at = within.start;
        let blank = |c: char| c == ' ' || c == '\t';
        loop {
            let (mut line, line_break) = line_at(raw, at);
            let next = line.end + line_break;
            if at > within.start {
                line.start += raw[line.clone()].len() - raw[line.clone()].trim_start_matches(blank).len();
            }
            if line_break > 0 {
                let mut trimmed = raw[line.clone()].trim_end_matches(blank).len();
                // A blank that is escaped stays.
                if quotes == Quotes::Double && odd_backslashes(&raw[line.start..line.start + trimmed]) {
                    trimmed = (trimmed + 1).min(line.len());
                    if trimmed < line.len() || raw[line.clone()].ends_with(blank) {
                        line.end = line.start + trimmed;
                    }
                } else {
                    line.end = line.start + trimmed;
                }
            }
            let joined = self.piece(line, quotes)?;
            if line_break == 0 {
                return Some(());
            }
            at = next;
            let mut empty = 0;
            loop {
                let (line, line_break) = line_at(raw, at);
                if line_break == 0 || !raw[line.clone()].trim_matches(blank).is_empty() {
                    break;
                }
                empty += 1;
                at = line.end + line_break;
            }
            match (empty, joined) {
                (0, true) => {}
                (0, false) => self.put(" "),
                (empty, _) => self.put(&"\n".repeat(empty)),
            }
        }
    }

    /// One line of a flow scalar; true: its break is escaped.
    fn piece(&mut self, line: Range<usize>, quotes: Quotes) -> Option<bool> {
        let escape = match quotes {
            Quotes::None => {
                self.take(line);
                return Some(false);
            }
            Quotes::Single => '\'',
            Quotes::Double => '\\',
        };
        let mut at = line.start;
        while let Some(found) = self.raw[at..line.end].find(escape) {
            self.take(at..at + found);
            at += found + 1;
            if quotes == Quotes::Single {
                // Two quotes are one; the second one stands for it.
                if !self.raw[at..line.end].starts_with('\'') {
                    return None;
                }
                self.put("'");
                at += 1;
                continue;
            }
            let Some(escaped) = self.raw[at..line.end].chars().next() else { return Some(true) };
            at += escaped.len_utf8();
            let digits = match escaped {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            if digits > 0 {
                let code = u32::from_str_radix(self.raw.get(at..at + digits)?, 16).ok()?;
                self.put(char::from_u32(code)?.encode_utf8(&mut [0; 4]));
                at += digits;
                continue;
            }
            self.put(match escaped {
                '0' => "\0",
                'a' => "\x07",
                'b' => "\x08",
                't' | '\t' => "\t",
                'n' => "\n",
                'v' => "\x0b",
                'f' => "\x0c",
                'r' => "\r",
                'e' => "\x1b",
                ' ' => " ",
                '"' => "\"",
                '/' => "/",
                '\\' => "\\",
                'N' => "\u{85}",
                '_' => "\u{a0}",
                'L' => "\u{2028}",
                'P' => "\u{2029}",
                _ => return None,
            });
        }
        self.take(at..line.end);
        Some(false)
    }

    /// `|` and `>`: from the first line that is not empty, without its indentation, to the end of the last.
    fn block(&mut self, file: &str, meant: &str, folded: bool) -> Option<()> {
        let indent = self.start - file[..self.start].rfind('\n').map_or(0, |at| at + 1);
        let breaks = |text: &str| text.len() - text.trim_start_matches('\n').len();
        self.put(&meant[..breaks(meant)]);
        let mut contents = Vec::new();
        let (mut at, mut line_break) = (0, 1);
        while line_break > 0 {
            let line;
            (line, line_break) = line_at(self.raw, at);
            at = line.end + line_break;
            let inset = if contents.is_empty() { 0 } else { indent.min(line.len()) };
            contents.push(line.start + inset..line.end);
        }
        let last = contents.iter().rposition(|line| !line.is_empty())?;
        let more_indented = |line: &Range<usize>| self.raw[line.clone()].starts_with([' ', '\t']);
        let more: Vec<bool> = contents.iter().map(more_indented).collect();
        let mut at = 0;
        loop {
            self.take(contents[at].clone());
            if at == last {
                break;
            }
            let next = (at + 1..=last).find(|next| !contents[*next].is_empty())?;
            let empty = next - at - 1;
            match (!folded || more[at] || more[next], empty) {
                (true, _) => self.put(&"\n".repeat(empty + 1)),
                (false, 0) => self.put(" "),
                (false, _) => self.put(&"\n".repeat(empty)),
            }
            at = next;
        }
        // How many breaks end it was decided by its sign and the parser.
        let rest = meant.strip_prefix(self.text.as_str())?;
        if breaks(rest) == rest.len() {
            self.put(rest);
        }
        Some(())
    }
}

fn odd_backslashes(text: &str) -> bool {
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::yaml::Yaml;

    /// Every byte of the text that is mapped is the same byte in the file; how many are not.
    fn mapped(file: &str) -> Option<(String, usize)> {
        let yaml = Yaml::parse(file).expect(file);
        let value = yaml.get(yaml.documents[0], "a").expect("a key called a");
        let scalar = yaml.scalar(value).expect("a text");
        let places = Places::of(file, scalar)?;
        assert_eq!(places.0.len(), scalar.text.len(), "{file:?}");
        let mut nowhere = 0;
        for (at, place) in places.0.iter().enumerate() {
            match *place {
                NOWHERE => nowhere += 1,
                place => assert_eq!(file.as_bytes()[place], scalar.text.as_bytes()[at], "{file:?} at {at}"),
            }
        }
        Some((scalar.text.clone(), nowhere))
    }

    #[test]
    fn each_style_of_writing_is_mapped_to_its_bytes() {
        for (file, text, nowhere) in [
            ("a: x > 5\n", "x > 5", 0),
            ("a: x > 5", "x > 5", 0),
            ("a: x > 5 # not 6\nb: 1\n", "x > 5", 0),
            ("a: größe > 5\r\nb: 1\r\n", "größe > 5", 0),
            ("a: x\n  > 5\nb: 1", "x > 5", 1),
            ("a: x\n\n\n  > 5\n", "x\n\n> 5", 2),
            ("a: 'x{b=''1''} > 5'\n", "x{b='1'} > 5", 2),
            ("a: 'x   \n  > 5'\n", "x > 5", 1),
            ("a: \"x{b=\\\"1\\\"} > 5\"\n", "x{b=\"1\"} > 5", 2),
            ("a: \"x \\\n  > 5\"\n", "x > 5", 0),
            ("a: \"x\\n> \\u0035\"\n", "x\n> 5", 2),
            ("a: |\n  x\n    > 5\n\n  and y\n\nb: 1\n", "x\n  > 5\n\nand y\n", 4),
            ("a: |-\n  x > 5\n", "x > 5", 0),
            ("a: |+ # kept\n  x > 5\n\n\nb: 1\n", "x > 5\n\n\n", 3),
            ("a: |\n  x > 5", "x > 5\n", 1),
            ("a: |\r\n  x\r\n  > 5\r\nb: 1\r\n", "x\n> 5\n", 2),
            ("a: >\n  x\n  > 5\n\n  and\n    y\n  or z\nb: 1\n", "x > 5\nand\n  y\nor z\n", 5),
            ("a: >-\n  x\n  > 5\n", "x > 5", 1),
            ("a: |\n\n  x > 5\n", "\nx > 5\n", 2),
            ("{a: x > 5, b: 1}\n", "x > 5", 0),
            ("a: |4\n      x\n    > 5\n", "  x\n> 5\n", 2),
        ] {
            assert_eq!(mapped(file), Some((text.to_owned(), nowhere)), "{file:?}");
        }
    }
}
