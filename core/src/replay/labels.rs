//! A set of labels as expressions see it: names with values, in order, cheap to clone and to compare.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a metric's name is called among labels.
pub const METRIC_NAME: &str = "__name__";

/// Pairs of name and value, sorted by name, each name once. A label with an empty value is no label, as in Prometheus.
///
/// As JSON it is an object of texts; as text it is PromQL's `{a="1", b="2"}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Arc<[(String, String)]>);

impl Labels {
    /// Pairs in any order; of a name that comes twice the last one stands.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels {
        let sorted: BTreeMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        sorted.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The label's value; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        match self.0.binary_search_by(|(own, _)| own.as_str().cmp(name)) {
            Ok(at) => &self.0[at].1,
            Err(_) => "",
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels whose names `keep` wants.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Labels {
        if self.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        self.0.iter().filter(|(name, _)| keep(name)).cloned().collect()
    }

    /// With one label set, or taken away where the value is empty.
    pub fn with(&self, name: &str, value: &str) -> Labels {
        Labels::new(self.iter().filter(|(own, _)| *own != name).chain([(name, value)]))
    }

    /// Without the metric's name.
    pub fn nameless(&self) -> Labels {
        self.filter(|name| name != METRIC_NAME)
    }

    /// Whether every label of `others` is here with the same value.
    pub fn carries(&self, others: &Labels) -> bool {
        others.iter().all(|(name, value)| self.get(name) == value)
    }
}

/// From pairs that are in order, without empty values and without a name that comes twice.
impl FromIterator<(String, String)> for Labels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Labels {
        Labels(pairs.into_iter().collect())
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            write!(f, "{comma}{name}=\"{value}\"")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Labels, D::Error> {
        BTreeMap::<String, String>::deserialize(from).map(Labels::new)
    }
}
