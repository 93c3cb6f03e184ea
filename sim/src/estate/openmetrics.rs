//! The month as text that `promtool tsdb create-blocks-from openmetrics` reads.

use super::fleet::Raw;
use homeostat::replay::METRIC_NAME;
use homeostat::time::Timestamp;
use std::io::{self, Write};

/// What hardly ever changes is told every fourth minute alone: within what a selector looks back, at a quarter of the bytes.
const CONSTANT_EVERY: usize = 4;

/// Writes all samples, series by series, from `start` on.
pub fn write(raws: &[Raw], start: Timestamp, into: &mut impl Write) -> io::Result<()> {
    for raw in raws {
        let labels = raw.labels.nameless().to_string().replace(", ", ",");
        let name = raw.labels.get(METRIC_NAME);
        let constant = raw.values.iter().flatten().all(|value| raw.values.iter().flatten().next() == Some(value));
        for (minute, value) in raw.values.iter().enumerate().step_by(if constant { CONSTANT_EVERY } else { 1 }) {
            let Some(value) = value else { continue };
            let millis = start.millis() + minute as i64 * 60_000 + raw.offset;
            // Whole milliseconds of a counter of seconds are what an exporter has, too.
            let value = (value * 1e4).round() / 1e4;
            writeln!(into, "{name}{labels} {value} {}.{:03}", millis / 1000, millis % 1000)?;
        }
    }
    writeln!(into, "# EOF")
}
