//! What commands print: tables for people at a terminal, plain columns for a pipe, JSON on request.

use super::Failed;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people; tab-separated when piped
    Table,
    Json,
}

/// Standard output, and what is known of who reads it.
pub struct Out {
    pub format: Format,
    terminal: bool,
    pub color: bool,
}

impl Out {
    pub fn new(format: Format, no_color: bool) -> Out {
        // https://no-color.org: set, and not empty, whatever the value.
        let wanted = !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Out { format, terminal: io::stdout().is_terminal(), color: wanted && io::stderr().is_terminal() }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Text as it is, with a line end.
    pub fn text(&self, text: &str) -> Result<(), Failed> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
            .and_then(|()| stdout.flush())
            .map_err(Failed::output)
    }

    pub fn json(&self, value: &impl Serialize) -> Result<(), Failed> {
        let text = match self.terminal {
            true => serde_json::to_string_pretty(value),
            false => serde_json::to_string(value),
        };
        self.text(&text.map_err(|error| Failed::World(format!("cannot write the answer as JSON: {error}")))?)
    }

    /// One thing, as the API gives it: under `data`.
    pub fn data(&self, value: &impl Serialize) -> Result<(), Failed> {
        self.json(&serde_json::json!({ "data": value }))
    }

    /// Columns under their heads: boxed on a terminal, tab-separated in a pipe.
    pub fn table(&self, head: &[&str], rows: &[Vec<String>]) -> Result<(), Failed> {
        if self.terminal {
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
            table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
            table.set_width(terminal_width());
            table.set_header(head.to_vec());
            for row in rows {
                table.add_row(row.iter().map(|cell| one_line(cell)));
            }
            return self.text(&table.to_string());
        }
        let mut text = head.join("\t") + "\n";
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| one_line(cell)).collect();
            text += &(cells.join("\t") + "\n");
        }
        self.text(&text)
    }

    /// Names and values, one pair per line.
    pub fn pairs(&self, pairs: &[(&str, String)]) -> Result<(), Failed> {
        let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in pairs {
            match self.terminal {
                true => text += &format!("{name:<width$}  {}\n", one_line(value)),
                false => text += &format!("{name}\t{}\n", one_line(value)),
            }
        }
        self.text(&text)
    }
}

/// A cell stays on its line, and what a series is called never steers the terminal.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What files say never steers the terminal either; an error may have several lines.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// The shell says how wide it is in COLUMNS; else as wide as most terminals are.
fn terminal_width() -> u16 {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.filter(|width| *width >= 40).unwrap_or(100)
}

/// A number for people: six digits that matter.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-4..1e15).contains(&magnitude) {
        let digits = (5 - magnitude.log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.5e}")
    }
}

/// The same, or a dash for what is not there.
pub fn number_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits_and_no_more() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (123_456_789.0, "123456789"),
            (0.123_456_789, "0.123457"),
            (1_234.567_89, "1234.57"),
            (1e-9, "1.00000e-9"),
            (1e300, "1.00000e300"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_cell_is_one_line_without_escapes() {
        assert_eq!(one_line("a\x1b[31m\nb\tc"), "a [31m b c");
    }
}
