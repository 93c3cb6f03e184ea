//! `homeostat thresholds rules` and `scrape-config`: what Prometheus needs to compare with thresholds learned here.

use crate::cli::config::load;
use crate::cli::output::Out;
use crate::cli::{Done, Failed};
use crate::config::{DataRule, Flags, Http};
use homeostat::time::Span;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Thresholds that are away for less are no news: a restart, or a scrape that failed.
const ABSENT_FOR: Span = Span::minutes(15);

/// A Prometheus that has not read its rules again by then is told of as such.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct RulesArgs {
    /// The configuration file, whose `rules` are written
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As a PrometheusRule manifest for Kubernetes
    #[arg(long)]
    manifest: bool,
    /// Write to this file, whole or not at all, instead of standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Then have the Prometheus at this address read its rules again (it has to run with --web.enable-lifecycle)
    #[arg(long, value_name = "URL", requires = "write")]
    reload: Option<String>,
}

#[derive(clap::Args)]
pub struct ScrapeArgs {
    /// The configuration file, which says where the daemon listens
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn rules(args: &RulesArgs, out: &Out) -> Result<Done, Failed> {
    let loaded = load(args.config.as_deref(), &Flags::default())?;
    let rules = &loaded.config.daemon.rules;
    if rules.is_empty() {
        return Err(Failed::Use("the configuration has no `rules`: homeostat.yaml shows how one is written".into()));
    }
    let groups = groups(rules);
    let content = match args.manifest {
        true => json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": { "name": "homeostat-thresholds" },
            "spec": groups,
        }),
        false => groups,
    };
    let text = yaml(&content)?;
    let Some(path) = &args.write else {
        out.text(text.trim_end())?;
        return Ok(Done::Quietly);
    };
    write_whole(path, &text).map_err(|error| Failed::World(format!("cannot write {}: {error}", path.display())))?;
    eprintln!("{}: {} rules", path.display(), rules.len());
    if let Some(url) = &args.reload {
        reload(url)?;
        eprintln!("{url} reads its rules again");
    }
    Ok(Done::Quietly)
}

pub fn scrape_config(args: &ScrapeArgs, out: &Out) -> Result<Done, Failed> {
    let loaded = load(args.config.as_deref(), &Flags::default())?;
    out.text(yaml(&scrape(&loaded.config.daemon.http))?.trim_end())?;
    Ok(Done::Quietly)
}

fn yaml(content: &Value) -> Result<String, Failed> {
    serde_saphyr::to_string(content).map_err(|error| Failed::World(format!("cannot write the rules: {error}")))
}

/// The rules, and one alert for each that there are no thresholds for.
fn groups(rules: &[DataRule]) -> Value {
    let all: Vec<Value> = rules.iter().map(alert).chain(rules.iter().map(absent)).collect();
    json!({ "groups": [{ "name": "homeostat-thresholds", "rules": all }] })
}

fn alert(rule: &DataRule) -> Value {
    let mut fields = Map::new();
    let literal = rule.literal.to_string();
    fields.insert("alert".into(), rule.alert.as_str().into());
    fields.insert("expr".into(), rule.lookup().promql(&rule.expr, &literal).into());
    for (key, span) in [("for", rule.hold), ("keep_firing_for", rule.keep_firing_for)] {
        if span > Span::ZERO {
            fields.insert(key.into(), span.to_string().into());
        }
    }
    for (key, pairs) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
        if !pairs.is_empty() {
            let texts = pairs.iter().map(|pair| (pair.name.clone(), pair.value.as_str().into()));
            fields.insert(key.into(), Value::Object(texts.collect()));
        }
    }
    Value::Object(fields)
}

fn absent(rule: &DataRule) -> Value {
    let literal = rule.literal;
    json!({
        "alert": "ThresholdsAbsent",
        "expr": rule.lookup().absent(),
        "for": ABSENT_FOR.to_string(),
        // By the expression it carries this anyway; said here, no two of these alerts look like one rule.
        "labels": { "rule": rule.name(), "severity": "warning" },
        "annotations": {
            "summary": format!("No learned thresholds for {}", rule.alert),
            "description": format!(
                "homeostat serves none, or Prometheus does not scrape it: until it does, {} compares with {literal}.",
                rule.alert
            ),
        },
    })
}

/// What makes Prometheus read the thresholds. Their own `job` and `instance` are those of what they are about, and have to
/// stay.
fn scrape(http: &Http) -> Value {
    let listen = http.listen.to_string();
    let (scheme, target) = match http.external_url.as_deref().and_then(|url| url.split_once("://")) {
        Some((scheme, rest)) => (scheme, rest.split(['/', '?', '#']).next().unwrap_or(rest)),
        None => ("http", listen.as_str()),
    };
    json!({
        "scrape_configs": [{
            "job_name": "homeostat-thresholds",
            "honor_labels": true,
            "scheme": scheme,
            "metrics_path": "/metrics/thresholds",
            "static_configs": [{ "targets": [target] }],
        }],
    })
}

/// Writes beside the file and moves into its place: whoever reads it meanwhile reads the old one or the new one. A link
/// stays one.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "this names no file");
    let mut name = target.file_name().ok_or_else(no_file)?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = target.with_file_name(name);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        if let Ok(before) = std::fs::metadata(&target) {
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, &target)?;
        // The new name is as durable as the text.
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // What is left of an attempt helps nobody; where it cannot be taken away either, the first error says more.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn reload(url: &str) -> Result<(), Failed> {
    if !url.starts_with("http://") {
        return Err(Failed::Use(format!("--reload: `{url}` is not an address like http://127.0.0.1:9090")));
    }
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(RELOAD_TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent("homeostat")
        .build();
    let failed = |problem: String| Failed::World(format!("the file is written, but {url} did not read it: {problem}"));
    let to = format!("{}/-/reload", url.trim_end_matches('/'));
    let mut answer = ureq::Agent::from(config).post(&to).send_empty().map_err(|error| failed(error.to_string()))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let said = answer.body_mut().with_config().limit(4096).read_to_string().unwrap_or_default();
    Err(failed(format!("{} {}", answer.status(), crate::cli::output::one_line(said.trim()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Listen;

    fn rule(text: &str) -> DataRule {
        serde_saphyr::from_str(text).expect(text)
    }

    #[test]
    fn a_rule_falls_back_to_its_literal_and_its_absence_is_an_alert() {
        let rules = [rule(
            "{alert: Slow, expr: 'a / b', op: '<', literal: 0.5, by: [job], match: x, for: 5m, labels: [severity=page]}",
        )];
        let groups = groups(&rules);
        let [alert, absent] = groups["groups"][0]["rules"].as_array().expect("a list").as_slice() else {
            panic!("two rules: {groups}")
        };
        assert_eq!(
            *alert,
            json!({
                "alert": "Slow",
                "expr": "((a / b) < on(job) group_left() homeostat_threshold{rule=\"Slow\", direction=\"lower\"}) or \
                         (((a / b) < 0.5) unless on(job) homeostat_threshold{rule=\"Slow\", direction=\"lower\"})",
                "for": "5m",
                "labels": { "severity": "page" },
            })
        );
        assert_eq!(
            absent["expr"],
            "absent(homeostat_threshold{rule=\"Slow\", direction=\"lower\"}) unless on() \
             homeostat_threshold_tried{rule=\"Slow\"}"
        );
    }

    #[test]
    fn prometheus_is_pointed_where_the_daemon_answers() {
        let target = |http: &Http| {
            let config = &scrape(http)["scrape_configs"][0];
            (config["scheme"].clone(), config["static_configs"][0]["targets"][0].clone())
        };
        let mut http = Http { listen: Listen { host: "::1".to_owned(), port: 1 }, ..Http::default() };
        assert_eq!(target(&http), (json!("http"), json!("[::1]:1")));
        http.external_url = Some("https://tune.example.org/x".to_owned());
        assert_eq!(target(&http), (json!("https"), json!("tune.example.org")));
    }

    #[test]
    fn a_file_is_replaced_whole_through_a_link_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        write_whole(&at("a.yml"), "one").expect("written");
        std::os::unix::fs::symlink(at("a.yml"), at("link.yml")).expect("a link");
        write_whole(&at("link.yml"), "two").expect("written");
        assert_eq!(std::fs::read_to_string(at("a.yml")).expect("read"), "two");
        assert!(std::fs::symlink_metadata(at("link.yml")).expect("there").is_symlink());
        assert!(write_whole(&at("nowhere/a.yml"), "x").is_err());
        std::fs::create_dir(at("folder")).expect("made");
        assert!(write_whole(&at("folder"), "x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 3);
    }
}
