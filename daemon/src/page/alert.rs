//! What an alert says to whoever is paged: labels that tell it from others, and why it was raised.

use crate::config::Pages;
use crate::config::pages::OWN_LABELS;
use crate::driver::View;
use homeostat::event::Alerted;
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names with values, in order.
pub type Texts = BTreeMap<String, String>;

/// What is told of one alert, made once, when it begins.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Told {
    pub labels: Texts,
    pub annotations: Texts,
    /// Where the page explains the series.
    pub url: String,
}

impl Told {
    /// Of an onset, with what is known of the series now. `home` is the address of the page, without a slash at its end.
    pub fn of(view: &View<'_>, alerted: &Alerted, pages: &Pages, home: &str) -> Told {
        let knowledge = view.engine.knowledge();
        let series = knowledge.find(&alerted.series);
        let name = &alerted.series;
        let mut annotations = Texts::new();
        let mut put = |name: &str, value: String| annotations.insert(name.to_owned(), value);
        let why = alerted.why.map_or("outside of its alert bounds", |why| why.as_str());
        put("summary", format!("{name}: {why}"));
        put("value", number(alerted.value));
        let mut words = format!("{} at {}", number(alerted.value), alerted.at);
        let (lower, upper) = alerted.bounds;
        match (lower, upper) {
            (Some(lower), Some(upper)) => _ = write!(words, "; {} to {} is ordinary", number(lower), number(upper)),
            (Some(lower), None) => _ = write!(words, "; from {} on it is ordinary", number(lower)),
            (None, Some(upper)) => _ = write!(words, "; up to {} it is ordinary", number(upper)),
            (None, None) => {}
        }
        words.push('.');
        lower.map(|lower| put("lower", number(lower)));
        upper.map(|upper| put("upper", number(upper)));
        if let Some(why) = alerted.why {
            put("feature", why.word().to_owned());
        }
        let mut spoke: Vec<_> = alerted.spoke.iter().collect();
        spoke.sort_by(|a, b| b.1.total_cmp(&a.1));
        if !spoke.is_empty() {
            let spoke: Vec<String> =
                spoke.iter().map(|(feature, loud)| format!("{} {loud:.2}", feature.as_str())).collect();
            _ = write!(words, " What spoke, beside the loudest: {}.", spoke.join(", "));
            put("features", spoke.join(", "));
        }
        if let Some(series) = series {
            let asked = series.own_budget().unwrap_or(knowledge.config().budget);
            let budget = match (series.own_budget(), series.budget_per_week()) {
                (_, None) => "none: alerts stand at a fixed level".to_owned(),
                (Some(_), Some(_)) => format!("{asked}, of its own"),
                (None, Some(share)) => {
                    let sharing = knowledge.sharing_with(series);
                    format!("{asked} shared by {sharing}: {} a week for this one", number(share))
                }
            };
            _ = write!(words, " Budget of alerts: {budget}.");
            put("budget", budget);
            if let Some(threshold) = series.learned() {
                let confidence = threshold.confidence.get();
                _ = write!(words, " Confidence that it keeps to it for a week: {confidence:.2}.");
                put("confidence", format!("{confidence:.2}"));
            }
            if let Some(owner) = series.owner() {
                put("owner", owner.to_owned());
            }
        }
        if let Some(during) = &alerted.during {
            let during = format!("{} {} until {}", during.occasion.as_str(), during.name, during.until);
            _ = write!(words, " In force then: {during}.");
            put("during", during);
        }
        put("description", words);
        put("judge", judge(home, name, alerted.at));
        let owner = series.and_then(|series| series.owner());
        Told {
            labels: labels(name, owner, pages),
            annotations,
            url: format!("{home}/#series={}", escaped(name.as_str())),
        }
    }
}

/// Where the page asks whether an alert mattered.
pub fn judge(home: &str, series: &SeriesName, at: Timestamp) -> String {
    format!("{home}/#series={}&judge={at}", escaped(series.as_str()))
}

/// Those of the series as an Alertmanager can hold them, and ours.
pub fn labels(series: &SeriesName, owner: Option<&str>, pages: &Pages) -> Texts {
    let (metric, own) = series.parts();
    let mut labels = Texts::new();
    labels.insert("alertname".to_owned(), pages.alert.clone());
    labels.insert("series".to_owned(), series.as_str().to_owned());
    if !metric.is_empty() {
        labels.insert("metric".to_owned(), metric);
    }
    labels.extend(owner.map(|owner| ("owner".to_owned(), owner.to_owned())));
    labels.extend(pages.labels.iter().map(|label| (label.name.clone(), label.value.clone())));
    for (name, value) in own {
        let mut name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        let taken = OWN_LABELS.contains(&name.as_str()) || labels.contains_key(&name);
        if taken || name.starts_with("__") || name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert_str(0, "exported_");
        }
        while labels.contains_key(&name) {
            name.push('_');
        }
        labels.insert(name, value);
    }
    labels
}

/// As a person reads it: what makes a difference of at least one in a thousand.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = 3 - value.abs().log10().floor().clamp(-300.0, 3.0) as i32;
    let text = format!("{value:.*}", digits.clamp(0, 300) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// As JavaScript's encodeURIComponent has it, so that the page's own links are the same.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                out.push(char::from(byte));
            }
            byte => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

/// By what Alertmanager knows an alert: FNV-1a over its labels in order, as sixteen hex digits.
pub fn fingerprint(labels: &Texts) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in labels {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_series_are_such_as_an_alertmanager_takes_and_none_is_lost() {
        let name = r#"load{alertname="x","a b"="1",a_b="2",series="s","1st"="z",severity="low"}"#;
        let series = SeriesName::parse(name).expect(name);
        let told = labels(&series, Some("storage team"), &Pages::default());
        let pairs: Vec<_> = told.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("a_b", "1"),
                ("alertname", "HomeostatAnomaly"),
                ("exported_1st", "z"),
                ("exported_a_b", "2"),
                ("exported_alertname", "x"),
                ("exported_series", "s"),
                ("exported_severity", "low"),
                ("metric", "load"),
                ("owner", "storage team"),
                ("series", series.as_str()),
                ("severity", "page"),
            ]
        );
    }

    #[test]
    fn a_fingerprint_is_alertmanagers() {
        assert_eq!(fingerprint(&Texts::new()), "cbf29ce484222325");
        let labels = Texts::from([("alertname".to_owned(), "test".to_owned())]);
        assert_eq!(fingerprint(&labels), "1f56cb8f931d1bd4");
    }

    #[test]
    fn numbers_are_short_and_links_keep_any_name_whole() {
        for (value, text) in
            [(0.0, "0"), (31.25, "31.25"), (0.000_123_456, "0.0001235"), (1e9, "1000000000"), (-2.5, "-2.5")]
        {
            assert_eq!(number(value), text);
        }
        let series = SeriesName::parse(r#"a{b="c&d #é"}"#).expect("a name");
        let link = judge("http://h", &series, Timestamp::from_secs(0));
        assert_eq!(link, "http://h/#series=a%7Bb%3D%22c%26d%20%23%C3%A9%22%7D&judge=1970-01-01T00:00:00.000Z");
    }
}
