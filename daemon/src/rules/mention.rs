//! A rule's number where its texts repeat it: `Disk is above 80 %`, `HighCpu80`, `for more than 5 minutes`.
//!
//! Nearly half of all rules say their literal twice. Whoever changes one of the two makes the other a lie; so what is
//! certain to be the same number is found, in every spelling that people use, and offered for change with it. What may be
//! another number stays.

use super::judge::Unit;
use homeostat::time::Span;
use std::ops::Range;

/// What a text may repeat.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub literal: f64,
    pub unit: Unit,
    pub hold: Span,
}

/// A part of a text, and what number it repeats.
#[derive(Clone, PartialEq, Debug)]
pub struct Mention {
    pub span: Range<usize>,
    pub of: Of,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Of {
    /// The literal, in units of so much: 0.01 for percent.
    Literal { unit: f64 },
    /// `for`, in units of so many milliseconds; with the unit as it is written behind the number.
    Hold { unit_ms: u64, written: String },
}

/// Words for times, with their milliseconds; longer ones first where one begins with another.
const TIMES: [(&str, u64); 20] = [
    ("milliseconds", 1),
    ("ms", 1),
    ("seconds", 1000),
    ("second", 1000),
    ("secs", 1000),
    ("sec", 1000),
    ("s", 1000),
    ("minutes", 60_000),
    ("minute", 60_000),
    ("mins", 60_000),
    ("min", 60_000),
    ("m", 60_000),
    ("hours", 3_600_000),
    ("hour", 3_600_000),
    ("hrs", 3_600_000),
    ("h", 3_600_000),
    ("days", 86_400_000),
    ("day", 86_400_000),
    ("d", 86_400_000),
    ("weeks", 604_800_000),
];

/// Words for amounts of bytes, each in the two senses people use.
const BYTES: [(&str, [f64; 2]); 13] = [
    ("kib", [1024.0, 1024.0]),
    ("kb", [1e3, 1024.0]),
    ("mib", [1_048_576.0, 1_048_576.0]),
    ("mb", [1e6, 1_048_576.0]),
    ("gib", [1_073_741_824.0, 1_073_741_824.0]),
    ("gb", [1e9, 1_073_741_824.0]),
    ("tib", [1_099_511_627_776.0, 1_099_511_627_776.0]),
    ("tb", [1e12, 1_099_511_627_776.0]),
    ("bytes", [1.0, 1.0]),
    ("k", [1e3, 1024.0]),
    ("m", [1e6, 1_048_576.0]),
    ("g", [1e9, 1_073_741_824.0]),
    ("b", [1.0, 1.0]),
];

/// Whole numbers up to this stand for many things: a word that compares has to come before them.
const SMALL: f64 = 20.0;

const COMPARES: [&str; 20] = [
    ">",
    "<",
    ">=",
    "<=",
    "=",
    "than",
    "above",
    "below",
    "over",
    "under",
    "exceeds",
    "exceeded",
    "exceeding",
    "exceed",
    "least",
    "most",
    "threshold",
    "limit",
    "beyond",
    "reached",
];

/// Words before a number that refers to something, and is no amount.
const REFERENCES: [&str; 15] = [
    "runbook",
    "playbook",
    "procedure",
    "issue",
    "ticket",
    "incident",
    "bug",
    "page",
    "chapter",
    "section",
    "step",
    "panel",
    "dashboard",
    "port",
    "code",
];

/// Comparisons in templates.
const COMPARISONS: [&str; 4] = ["gt", "ge", "lt", "le"];

/// All mentions in a text for people: a summary, a description. In the order of the text.
pub fn in_text(text: &str, said: &Said) -> Vec<Mention> {
    let own = numbers(text, false).into_iter().filter(|(span, _)| !refers(text, span));
    let mut mentions: Vec<Mention> = own.filter_map(|number| mention(text, number, said)).collect();
    mentions.extend(in_templates(text, said));
    mentions.sort_by_key(|mention| mention.span.start);
    mentions
}

/// Whether a number stands in an address, or after a word such as `runbook` or `#`.
fn refers(text: &str, span: &Range<usize>) -> bool {
    let before = &text[..span.start];
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let whole = &text[span.start - word.len()..];
    let whole = whole.split(char::is_whitespace).next().unwrap_or_default();
    if whole.contains("://") || word.contains(['?', '&']) && word.ends_with('=') || word.ends_with('#') {
        return true;
    }
    // Whoever refers to something counts nothing.
    let is_amount = unit_behind(&text[span.end..]).0 == "%";
    let last = before
        .trim_end_matches([' ', '\u{a0}', '\u{202f}', ':'])
        .rsplit(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default();
    word.is_empty() && !is_amount && REFERENCES.contains(&last.to_ascii_lowercase().as_str())
}

/// `{{ if gt $value 65.0 }}`: what a template compares the value with.
fn in_templates(text: &str, said: &Said) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{") {
        let start = at + open + 2;
        let Some(len) = text[start..].find("}}") else { break };
        at = start + len + 2;
        for three in words(text, start..start + len).windows(3) {
            let [name, one, other] = three else { continue };
            let (name, span) = match (&text[one.clone()], &text[other.clone()]) {
                ("$value" | ".Value", _) => (&text[name.clone()], other.clone()),
                (_, "$value" | ".Value") => (&text[name.clone()], one.clone()),
                _ => continue,
            };
            let value: Result<f64, _> = text[span.clone()].parse();
            if COMPARISONS.contains(&name) && value.is_ok_and(|value| same(value, said.literal)) {
                found.push(Mention { span, of: Of::Literal { unit: 1.0 } });
            }
        }
    }
    found
}

/// Words of a template, without the parentheses around them.
fn words(text: &str, template: Range<usize>) -> Vec<Range<usize>> {
    let apart = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|');
    let mut at = template.start;
    let place = |piece: &str| {
        let start = at;
        at += piece.len();
        let end = start + piece.trim_end_matches(apart).len();
        start..end
    };
    text[template].split_inclusive(apart).map(place).filter(|word| !word.is_empty()).collect()
}

/// All mentions in an alert's name, where words and numbers run into each other.
pub fn in_name(name: &str, said: &Said) -> Vec<Mention> {
    let mention = |(span, value): (Range<usize>, f64)| {
        let unit = unit_behind(&name[span.end..]).0.to_ascii_lowercase();
        let before = name[..span.start].trim_end_matches(['-', '_']);
        // P99 and p95 are quantiles.
        if value >= 50.0 && before.ends_with(['P', 'p']) && !before.ends_with("Up") {
            return None;
        }
        let percent = unit.starts_with("percent") || unit.starts_with("pct");
        let scale = match said.unit {
            Unit::Ratio if same(value / 100.0, said.literal) && (percent || value > SMALL) => 0.01,
            _ if same(value, said.literal) && (percent || value > SMALL) => 1.0,
            _ => return None,
        };
        Some(Mention { span, of: Of::Literal { unit: scale } })
    };
    numbers(name, true).into_iter().filter_map(mention).collect()
}

impl Mention {
    /// Whether it is a part of what a template does, and not of the text around it.
    pub fn is_in_template(&self, text: &str) -> bool {
        let before = &text[..self.span.start];
        before.rfind("{{") > before.rfind("}}")
    }

    /// What the mention says of the new literal and `for`; None: it cannot be said in these words.
    pub fn rewritten(&self, text: &str, literal: f64, hold: Span) -> Option<String> {
        let written = &text[self.span.clone()];
        match &self.of {
            Of::Literal { unit } => {
                // 0.07 / 0.01 is not 7 to the last bit.
                let value: f64 = format!("{:.9}", literal / unit).parse().ok()?;
                let spelled = super::spell::spell(written, value).0;
                // A template compares a fraction with fractions alone.
                let whole = self.is_in_template(text) && written.contains('.') && !spelled.contains(['.', 'e', 'E']);
                Some(if whole { format!("{spelled}.0") } else { spelled })
            }
            Of::Hold { unit_ms, written } => {
                if hold == Span::ZERO {
                    return None;
                }
                if hold.millis().is_multiple_of(*unit_ms) {
                    return Some(format!("{}{written}", hold.millis() / unit_ms));
                }
                let seconds = hold.millis() / 1000;
                let word = written.trim_start();
                let space = &written[..written.len() - word.len()];
                match word.len() > 1 && hold.millis().is_multiple_of(1000) {
                    true => Some(format!("{seconds}{space}seconds")),
                    false => Some(hold.to_string()),
                }
            }
        }
    }
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs()
}

/// Numbers outside of templates; in names letters may touch them.
fn numbers(text: &str, name: bool) -> Vec<(Range<usize>, f64)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if text[at..].starts_with("{{") {
            at += text[at..].find("}}").map_or(bytes.len() - at, |end| end + 2);
            continue;
        }
        let c = bytes[at];
        let begins = c.is_ascii_digit() || c == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !begins {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let start = at;
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        at += digits(at);
        if bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
            at += 1 + digits(at + 1);
        }
        // A part of something longer: a version, a date, an address, a word.
        let before = text[..start].chars().next_back();
        let touches =
            |c: char| c.is_alphanumeric() && !name || c.is_ascii_digit() || matches!(c, '.' | '$' | '/' | ':' | '}');
        let hyphen = before == Some('-') && text[..start - 1].chars().next_back().is_some_and(char::is_alphanumeric);
        let next = text[at..].chars().next();
        let goes_on = matches!(next, Some('.' | ':' | '/' | '-'))
            && text[at + 1..].starts_with(|c: char| c.is_ascii_digit())
            || matches!(next, Some('x' | 'X'));
        let minus = before == Some('-') && !hyphen;
        if before.is_some_and(|c| touches(c) || c == '_' && !name) || (hyphen && !name) || minus || goes_on {
            // The rest of it is no number either.
            at += text[at..]
                .find(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | ':'))
                .unwrap_or(text.len() - at)
                .min(if name { 0 } else { usize::MAX });
            continue;
        }
        if let Ok(value) = text[start..at].parse() {
            found.push((start..at, value));
        }
    }
    found
}

/// The word or sign behind a number, and how long it is with the space before it.
fn unit_behind(rest: &str) -> (&str, usize) {
    let word = rest.trim_start_matches([' ', '\u{a0}', '\u{202f}']);
    let space = rest.len() - word.len();
    if word.starts_with('%') {
        return (&word[..1], space + 1);
    }
    let len = word.find(|c: char| !c.is_alphabetic()).unwrap_or(word.len());
    (&word[..len], space + len)
}

fn mention(text: &str, (span, value): (Range<usize>, f64), said: &Said) -> Option<Mention> {
    let (word, len) = unit_behind(&text[span.end..]);
    let lower = word.to_ascii_lowercase();
    let touches = text[span.end..].starts_with(|c: char| c.is_alphabetic());
    let literal = |unit: f64| Some(Mention { span: span.clone(), of: Of::Literal { unit } });
    if lower == "%" || matches!(lower.as_str(), "percent" | "pct") {
        return match said.unit {
            Unit::Ratio | Unit::Other if same(value / 100.0, said.literal) => literal(0.01),
            Unit::Percent | Unit::Other if same(value, said.literal) => literal(1.0),
            _ => None,
        };
    }
    if let Some((_, ms)) = TIMES.iter().find(|(time, _)| *time == lower) {
        // Whoever says milliseconds of a number of no known unit says what it is.
        let seconds = said.unit == Unit::Seconds || said.unit == Unit::Other && *ms == 1;
        if said.unit == Unit::Other && *ms == 1 && same(value, said.literal) {
            return literal(1.0);
        }
        let is_literal = seconds && same(value * *ms as f64 / 1000.0, said.literal);
        // One number for both: which one is meant, nobody knows.
        if is_literal && same(said.literal * 1000.0, said.hold.millis() as f64) {
            return None;
        }
        let is_hold = said.hold > Span::ZERO
            && same(value * *ms as f64, said.hold.millis() as f64)
            && text[..span.start].split_whitespace().rev().take(4).any(|word| word.eq_ignore_ascii_case("for"));
        let single = lower == "m" && said.unit == Unit::Bytes;
        match (is_literal, is_hold) {
            (true, false) => return literal(*ms as f64 / 1000.0),
            (false, true) => {
                let written = text[span.end..span.end + len].to_owned();
                return Some(Mention { span: span.start..span.end + len, of: Of::Hold { unit_ms: *ms, written } });
            }
            _ if !single => return None,
            _ => {}
        }
    }
    if said.unit == Unit::Bytes
        && let Some((_, senses)) = BYTES.iter().find(|(unit, _)| *unit == lower)
        && let Some(unit) = senses.iter().find(|unit| same(value * **unit, said.literal))
    {
        return literal(*unit);
    }
    if touches || !same(value, said.literal) || said.unit == Unit::Ratio && value >= 1.0 {
        return None;
    }
    let compared = text[..span.start]
        .trim_end()
        .rsplit(|c: char| c.is_whitespace())
        .next()
        .map(|word| word.trim_matches(['(', '[', '"', '\'', '`']).to_ascii_lowercase())
        .is_some_and(|word| COMPARES.contains(&word.as_str()) || word.ends_with(['>', '<', '=']));
    (compared || value > SMALL || value.fract() != 0.0).then_some(()).and_then(|()| literal(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(literal: f64, unit: Unit) -> Said {
        Said { literal, unit, hold: Span::minutes(5) }
    }

    /// The text with another literal and `for`.
    fn changed(text: &str, said: &Said, literal: f64, hold: Span) -> String {
        let mut after = text.to_owned();
        for mention in in_text(text, said).iter().rev() {
            if let Some(new) = mention.rewritten(text, literal, hold) {
                after.replace_range(mention.span.clone(), &new);
            }
        }
        after
    }

    #[test]
    fn what_repeats_a_number_is_found_in_every_spelling() {
        let quarter = Span::minutes(15);
        for (text, said, literal, after) in [
            ("CPU > 80% (now {{ $value }}80)", said(80.0, Unit::Percent), 93.0, "CPU > 93% (now {{ $value }}80)"),
            ("below 20 % free", said(0.2, Unit::Ratio), 0.07, "below 7 % free"),
            ("ratio over 0.80.", said(0.8, Unit::Ratio), 0.93, "ratio over 0.93."),
            ("is over 1 GB for 5 minutes", said(1e9, Unit::Bytes), 2.5e9, "is over 2.5 GB for 15 minutes"),
            ("more than 100MB", said(104_857_600.0, Unit::Bytes), 209_715_200.0, "more than 200MB"),
            ("slower than 500ms", said(0.5, Unit::Seconds), 1.2, "slower than 1200ms"),
            ("slower than 2 seconds", said(2.0, Unit::Seconds), 3.0, "slower than 3 seconds"),
            ("has been full for 5m", said(80.0, Unit::Percent), 80.0, "has been full for 15m"),
            (
                "has been so for more than 5 minutes",
                said(8.0, Unit::Other),
                8.0,
                "has been so for more than 15 minutes",
            ),
            ("more than 5 restarts", said(5.0, Unit::Other), 9.0, "more than 9 restarts"),
            ("queue >1000", said(1000.0, Unit::Other), 2500.0, "queue >2500"),
            ("mehr als\u{a0}80\u{202f}% belegt", said(80.0, Unit::Percent), 93.0, "mehr als\u{a0}93\u{202f}% belegt"),
            (
                "See the runbook.\n90 % used, at step 90 %",
                said(90.0, Unit::Percent),
                93.0,
                "See the runbook.\n93 % used, at step 93 %",
            ),
            (
                "{{ if lt $value -70.0 }}low{{ end }}",
                said(-70.0, Unit::Other),
                -75.0,
                "{{ if lt $value -75.0 }}low{{ end }}",
            ),
            ("over 65% for a while", said(0.65, Unit::Ratio), 0.9, "over 90% for a while"),
            ("p99 over 500ms", said(0.5, Unit::Other), 0.8, "p99 over 800ms"),
            ("p99 over 500ms", said(500.0, Unit::Other), 800.0, "p99 over 800ms"),
            (
                "{{ if gt $value 65.0 }}high{{ else if (le 65 $value) }}{{ end }} {{ 65 }}",
                said(65.0, Unit::Other),
                90.0,
                "{{ if gt $value 90.0 }}high{{ else if (le 90 $value) }}{{ end }} {{ 65 }}",
            ),
            ("größer 90 % für 5 Tage", said(90.0, Unit::Percent), 95.0, "größer 95 % für 5 Tage"),
        ] {
            assert_eq!(changed(text, &said, literal, quarter), after, "{text}");
        }
        let odd = changed("so for 5 minutes", &said(8.0, Unit::Other), 8.0, Span::from_secs(90));
        assert_eq!(odd, "so for 90 seconds");
    }

    #[test]
    fn what_may_be_another_number_stays() {
        for (text, said) in [
            ("5 pods of 5xx, v5, 1.5.2, 10.0.0.5, port:5, http5", said(5.0, Unit::Other)),
            ("P99 over 5m", said(99.0, Unit::Other)),
            ("rate over the last 5m", said(8.0, Unit::Other)),
            ("{{ printf \"%.80f\" $value }} {{ 80 }}", said(80.0, Unit::Other)),
            ("2026-11-80", said(80.0, Unit::Other)),
            ("-80 dBm", said(80.0, Unit::Other)),
            ("https://grafana/d/x?viewPanel=65 and /d/x?from=1&panel=65", said(65.0, Unit::Other)),
            ("see issue #65, runbook 65, Runbook: 65, step\u{a0}65, panel\u{202f}#65", said(65.0, Unit::Other)),
            ("{{ if eq $value 65.0 }}{{ printf \"%f\" 65.0 }}{{ end }}{{ gt 65.0", said(65.0, Unit::Other)),
            ("80 % of 90", said(0.9, Unit::Ratio)),
            ("in 5 minutes for 5 minutes", Said { literal: 300.0, unit: Unit::Seconds, hold: Span::minutes(5) }),
        ] {
            assert_eq!(in_text(text, &said), [], "{text}");
        }
    }

    #[test]
    fn names_run_numbers_and_words_together() {
        for (name, said, found) in [
            ("DiskAbove80Percent", said(0.8, Unit::Ratio), Some("80")),
            ("Cpu80", said(80.0, Unit::Percent), Some("80")),
            ("LatencyP99High", said(99.0, Unit::Other), None),
            ("Http5xx", said(5.0, Unit::Other), None),
            ("Node2Down", said(2.0, Unit::Other), None),
            ("disk_usage_90", said(90.0, Unit::Percent), Some("90")),
        ] {
            let spans: Vec<&str> = in_name(name, &said).iter().map(|mention| &name[mention.span.clone()]).collect();
            assert_eq!(spans.first().copied(), found, "{name}");
        }
    }
}
