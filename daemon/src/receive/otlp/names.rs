//! What OpenTelemetry's metrics and attributes are called in Prometheus: units spelt out, `_total` and `_ratio`, no dots.
//!
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>, as Prometheus itself translates what it
//! receives unless it is told otherwise.

/// Units as they stand in names.
const UNITS: [(&str, &str); 28] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("kHz", "kilohertz"),
    ("MHz", "megahertz"),
];

/// The same behind a "per".
const PER_UNITS: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// What a metric is, as far as its name says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    Gauge,
    /// Only grows.
    Counter,
    Other,
}

/// The name of a metric in Prometheus: words of letters and digits, its unit, and how it counts. Empty: it has no such words.
pub fn metric(name: &str, unit: &str, named: Named) -> String {
    let mut words: Vec<&str> = words(name).collect();
    let (main, per) = match unit.split_once('/') {
        Some((main, per)) => (main, Some(per)),
        None => (unit, None),
    };
    let main = spelt(main, &UNITS);
    let per = per.map(|per| spelt(per, &PER_UNITS)).filter(|per| !per.is_empty());
    // What the name says already is not said twice.
    for word in main.split('_').filter(|word| !word.is_empty()) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if let Some(per) = &per
        && !words.iter().any(|word| word == per)
    {
        words.extend(["per", per.as_str()]);
    }
    // Each of them stands at the end.
    let last = match named {
        Named::Counter => Some("total"),
        Named::Gauge if unit == "1" => Some("ratio"),
        Named::Gauge | Named::Other => None,
    };
    if let Some(last) = last {
        words.retain(|word| *word != last);
        words.push(last);
    }
    let name = words.join("_");
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|word| !word.is_empty())
}

/// A unit as words; what stands in braces is a remark and none.
fn spelt(unit: &str, units: &[(&str, &str)]) -> String {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return String::new();
    }
    match units.iter().find(|(short, _)| *short == unit) {
        Some((_, long)) => (*long).to_owned(),
        None => words(unit).collect::<Vec<_>>().join("_"),
    }
}

/// The name of a label: letters, digits and underscores, and no digit at first.
pub fn label(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match plain.chars().next() {
        Some(c) if c.is_ascii_digit() => format!("key_{plain}"),
        Some('_') if !plain.starts_with("__") => format!("key{plain}"),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_called_as_prometheus_calls_them() {
        for (name, unit, named, wanted) in [
            ("system.cpu.time", "s", Named::Counter, "system_cpu_time_seconds_total"),
            ("http.server.duration", "ms", Named::Other, "http_server_duration_milliseconds"),
            ("http.server.request.duration", "s", Named::Other, "http_server_request_duration_seconds"),
            ("system.memory.utilization", "1", Named::Gauge, "system_memory_utilization_ratio"),
            ("system.memory.usage", "By", Named::Gauge, "system_memory_usage_bytes"),
            ("system.network.io", "By", Named::Counter, "system_network_io_bytes_total"),
            ("system.network.dropped", "{packets}", Named::Counter, "system_network_dropped_total"),
            ("throughput", "By/s", Named::Gauge, "throughput_bytes_per_second"),
            ("speed", "m/s", Named::Gauge, "speed_meters_per_second"),
            ("requests", "{req}/m", Named::Gauge, "requests_per_minute"),
            ("queue_seconds", "s", Named::Gauge, "queue_seconds"),
            ("orders_total", "", Named::Counter, "orders_total"),
            ("total.orders", "", Named::Counter, "orders_total"),
            ("hit.ratio", "1", Named::Gauge, "hit_ratio"),
            ("active", "1", Named::Other, "active"),
            ("2xx.count", "", Named::Gauge, "_2xx_count"),
            ("a..b--c", "", Named::Gauge, "a_b_c"),
            ("fan.speed", "rpm", Named::Gauge, "fan_speed_rpm"),
            ("fan.fill", "%", Named::Gauge, "fan_fill_percent"),
            ("é", "", Named::Gauge, ""),
        ] {
            assert_eq!(metric(name, unit, named), wanted, "{name} in {unit}");
        }
    }

    #[test]
    fn labels_hold_letters_digits_and_underscores() {
        for (name, wanted) in [
            ("http.method", "http_method"),
            ("2xx", "key_2xx"),
            ("_hidden", "key_hidden"),
            ("__name", "__name"),
            ("ü-x", "__x"),
            ("a", "a"),
            ("", ""),
        ] {
            assert_eq!(label(name), wanted);
        }
    }
}
