//! What the series are called that a query gives.

use homeostat::replay::{Labels, METRIC_NAME};
use homeostat::series::{NameError, SeriesName};

/// A name that is made of an expression is not longer, in characters.
const LEN_MAX: usize = 80;

/// The name of a series with these labels: as the query is called, else as the metric, which functions take away; else after the
/// expression.
pub fn series_name(labels: &Labels, called: Option<&str>, expr: &str) -> Result<SeriesName, NameError> {
    let metric = match (called, labels.get(METRIC_NAME)) {
        (Some(called), _) => called.to_owned(),
        (None, "") => name_of(expr),
        (None, metric) => metric.to_owned(),
    };
    let others = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    SeriesName::new(&metric, others.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// What is left of an expression that can be the name of a metric: `rate(http_requests_total[5m])` gives
/// `rate_http_requests_total_5m`.
pub fn name_of(expr: &str) -> String {
    let mut name = String::new();
    for c in expr.lines().flat_map(|line| line.split('#').next().unwrap_or_default().chars().chain([' '])) {
        if c.is_ascii_alphanumeric() || c == ':' || c == '_' {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name: String = name.chars().take(LEN_MAX).collect();
    match name.trim_end_matches('_') {
        "" => "query".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("query_{name}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_called_as_its_query_else_as_its_metric_else_after_the_expression() {
        let name = |labels: &[(&str, &str)], called, expr| {
            series_name(&Labels::new(labels.iter().copied()), called, expr).expect("a name").to_string()
        };
        let up = [("__name__", "up"), ("job", "a")];
        assert_eq!(name(&up, None, "up"), r#"up{job="a"}"#);
        assert_eq!(name(&up, Some("alive"), "up"), r#"alive{job="a"}"#);
        assert_eq!(name(&up[1..], None, "rate(x_total[5m]) # per second"), r#"rate_x_total_5m{job="a"}"#);
        assert_eq!(name(&[], None, "1 - sum(up)"), "query_1_sum_up");
        assert_eq!(name(&[], None, "((#\n))"), "query");
        assert_eq!(name_of(&"a+".repeat(200)).len(), LEN_MAX - 1);
    }
}
