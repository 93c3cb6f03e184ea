//! Families as text, in either of the forms that scrapers ask for.

use super::{Family, Type};
use std::fmt::Write as _;

/// The two texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Classic,
    OpenMetrics,
}

impl Format {
    /// OpenMetrics when it is asked for, at least as much as the classic text.
    pub fn accepted<'a>(accepts: impl Iterator<Item = &'a str>) -> Format {
        let (mut open, mut classic) = (0.0_f64, 0.0_f64);
        for range in accepts.flat_map(|accept| accept.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            match kind.as_str() {
                "application/openmetrics-text" => open = open.max(weight),
                "text/plain" => classic = classic.max(weight),
                _ => {}
            }
        }
        if open > 0.0 && open >= classic { Format::OpenMetrics } else { Format::Classic }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text of all families that have samples.
pub fn encode(families: &[Family], format: Format) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let base = match format {
            Format::Classic => family.name,
            // In OpenMetrics the suffix belongs to the sample, not to the family.
            Format::OpenMetrics => family.name.strip_suffix("_total").unwrap_or(family.name),
        };
        let kind = match family.kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        // Writing into text cannot fail.
        let _ = write!(text, "# HELP {base} ");
        escape(&mut text, family.help, format == Format::OpenMetrics);
        let _ = writeln!(text, "\n# TYPE {base} {kind}");
        for sample in &family.samples {
            text.push_str(family.name);
            text.push_str(sample.suffix);
            for (at, (name, value)) in sample.labels.iter().enumerate() {
                let _ = write!(text, "{}{name}=\"", if at == 0 { '{' } else { ',' });
                escape(&mut text, value, true);
                text.push('"');
            }
            text.push_str(if sample.labels.is_empty() { " " } else { "} " });
            match sample.value {
                value if value == f64::INFINITY => text.push_str("+Inf"),
                value if value == f64::NEG_INFINITY => text.push_str("-Inf"),
                value => _ = write!(text, "{value}"),
            }
            text.push('\n');
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn escape(text: &mut String, value: &str, quotes: bool) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}
