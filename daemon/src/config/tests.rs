//! The layers as a person meets them: what is accepted, what is refused, and in which words.

use super::tree::{Node, Tree};
use super::*;
use std::collections::BTreeSet;
use std::io::Write;

fn strategies() -> Vec<StrategyName> {
    let names = ["auto", "adaptive", "percentile", "sigma", "iqr", "robust", "extreme_value", "seasonal", "ewma"];
    names.map(StrategyName::from).into()
}

fn load(yaml: &str, env: &[(&str, &str)], flags: &Flags) -> Result<Loaded, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(yaml.as_bytes()).expect("written");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(file.path()), env, flags, &strategies())
        .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
}

fn file(yaml: &str) -> Result<Loaded, String> {
    load(yaml, &[], &Flags::default())
}

fn env(variables: &[(&str, &str)]) -> Result<Loaded, String> {
    load("", variables, &Flags::default())
}

/// Every key that a text names, dotted; elements of a list stand under `[]`.
fn written_keys(node: &Node) -> BTreeSet<String> {
    fn inner(tree: &Tree, path: &str, keys: &mut BTreeSet<String>) {
        match tree {
            Tree::Map(entries) => {
                for entry in entries {
                    let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    keys.insert(path.clone());
                    inner(&entry.node.tree, &path, keys);
                }
            }
            Tree::List(items) => items.iter().for_each(|item| inner(&item.tree, &format!("{path}[]"), keys)),
            Tree::Scalar(_) => {}
        }
    }
    let mut keys = BTreeSet::new();
    inner(&node.tree, "", &mut keys);
    keys
}

const EXAMPLE: &str = include_str!("../../../homeostat.yaml");

#[test]
fn the_example_file_holds_every_key_with_its_default() {
    let loaded = file(EXAMPLE).expect("the example is usable");
    assert_eq!(loaded.config, Config::default());
    // With its commented items put in force, no key of the schema is missing.
    let mut with_items = String::new();
    for line in EXAMPLE.lines() {
        match line.strip_prefix("# ") {
            Some(item) if item.starts_with("- ") || item.starts_with("  ") && !item.starts_with("  homeostat") => {
                with_items.push_str(item);
            }
            _ if [
                "series: []",
                "files: []",
                "promql: []",
                "scrape: []",
                "webhooks: []",
                "receivers: []",
                "calendars: []",
                "rules: []",
                "remote_write: []",
            ]
            .contains(&line) =>
            {
                continue;
            }
            _ => with_items.push_str(line),
        }
        if line.ends_with("For example:") {
            let of = |word: &str| line.contains(word);
            let section = if of("overlap") {
                "calendars"
            } else if of("selector") {
                "series"
            } else if of("thresholds") {
                "rules"
            } else if of("Mimir") {
                "remote_write"
            } else if of("Who is told") {
                "receivers"
            } else if of("loops") {
                "webhooks"
            } else if of("ten minutes") {
                "promql"
            } else if of("given any more") {
                "scrape"
            } else {
                "files"
            };
            with_items.push_str(&format!("\n{section}:"));
        }
        with_items.push('\n');
    }
    // The calendar's file has to be there.
    let folder = tempfile::tempdir().expect("a folder");
    let holidays = folder.path().join("holidays.ics");
    std::fs::write(&holidays, "BEGIN:VCALENDAR\nEND:VCALENDAR\n").expect("written");
    let with_items = with_items.replace("/etc/homeostat/holidays.ics", &holidays.display().to_string());
    let loaded = file(&with_items).expect("the examples in comments are usable");
    let daemon = &loaded.config.daemon;
    assert_eq!((loaded.config.engine.series.len(), daemon.files.len(), daemon.webhooks.len()), (1, 1, 1));
    assert_eq!((daemon.rules.len(), daemon.remote_write.len()), (1, 1));
    assert_eq!((daemon.promql.len(), daemon.scrape.len(), daemon.receivers.len()), (1, 1, 1));
    assert_eq!((daemon.calendars.len(), loaded.config.engine.calendars[0].entries().len()), (1, 3));
    let written = written_keys(&tree::Node::parse(&with_items).expect("read before"));
    let missing: Vec<_> = schema::known_keys()
        .iter()
        .filter(|key| !written.contains(*key) && !key.starts_with("states.limits.false_share.critical."))
        .collect();
    assert!(missing.is_empty(), "not in homeostat.yaml: {missing:?}");
}

#[test]
fn flag_over_environment_over_file_over_default_and_each_is_named() {
    let yaml = "http:\n  listen: 127.0.0.1:1\nlearning:\n  window_len: 500\n  min_data_points: 50\n";
    let variables = [("HOMEOSTAT__HTTP__LISTEN", "127.0.0.1:2"), ("HOMEOSTAT__LEARNING__WINDOW_LEN", "600")];
    let flags = Flags { listen: Some("[::1]:3".to_owned()), ..Flags::default() };
    let loaded = load(yaml, &variables, &flags).expect("usable");
    assert_eq!(loaded.config.daemon.http.listen.port, 3);
    assert_eq!(loaded.config.engine.learning.window_len, 600);
    assert_eq!(loaded.config.engine.learning.min_data_points, 50);
    let origin = |key: &str| loaded.provenance.origin(key).to_string();
    assert_eq!(origin("http.listen"), "flag --listen");
    assert_eq!(origin("learning.window_len"), "environment HOMEOSTAT__LEARNING__WINDOW_LEN");
    assert!(origin("learning.min_data_points").ends_with(":5"), "{}", origin("learning.min_data_points"));
    assert_eq!(origin("learning.sensitivity"), "default");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_and_its_place() {
    for (yaml, wanted) in [
        (
            "learning:\n  windw_len: 5",
            "FILE:2:3: there is no `learning.windw_len`; did you mean `learning.window_len`?",
        ),
        ("window_len: 5", "FILE:1:1: there is no `window_len`; did you mean `learning.window_len`?"),
        ("lerning: {}", "FILE:1:1: there is no `lerning`; did you mean `learning`?"),
        ("bugdet: none", "FILE:1:1: there is no `bugdet`; did you mean `budget`?"),
        (
            "series:\n  - match: up\n    sensitivty: 3",
            "FILE:3:5: there is no `series[0].sensitivty`; did you mean `series[].sensitivity`?",
        ),
        ("files: [{paht: x}]", "FILE:1:10: there is no `files[0].paht`; did you mean `files[].path`?"),
    ] {
        assert_eq!(file(yaml).expect_err(yaml), wanted);
    }
    assert_eq!(
        env(&[("HOMEOSTAT__STATES__HEALTHY__MONITORING_INTERVALL", "5s")]).expect_err("one l too many"),
        "the environment: there is no `HOMEOSTAT__STATES__HEALTHY__MONITORING_INTERVALL`; did you mean \
         `HOMEOSTAT__STATES__HEALTHY__MONITORING_INTERVAL`?"
    );
    assert!(env(&[("HOMEOSTAT__", "5s")]).is_err());
    assert!(env(&[("HOMEOSTAT__LEARNING__STRATEGY__X", "5s")]).is_err());
}

#[test]
fn a_wrong_value_is_refused_with_key_reason_and_place() {
    for (yaml, wanted) in [
        ("states: {healthy: {monitoring_interval: 30}}", "states.healthy.monitoring_interval: `30` is not a duration"),
        ("learning:\n  min_data_points: -5\n", "learning.min_data_points: invalid value: integer `-5`"),
        ("learning:\n  min_data_points: -5\n", "(FILE:2)"),
        ("learning:\n  strategy: magic\n", "learning.strategy: `magic` is no strategy"),
        ("learning:\n  confidence_min: 1.5\n", "learning.confidence_min: 1.5 is not a confidence from 0 to 1 (FILE:2)"),
        ("learning: 5", "learning: this is a section with the keys learning_window, window_len"),
        ("series: 5", "series: this is a list"),
        ("budget: garbage", "budget: `garbage` is not a budget; give one like `1 per week`"),
        ("\nbudget: 0 per week", "(FILE:2)"),
        ("learning:\n  window_len: [5]\n", "one value is wanted here"),
        ("series: [{match: 'up{'}]", "series[0].match: `up{` is not a series"),
        ("series: [{kind: gauge}]", "series[0]: missing field `match`"),
        ("tracing: {enabled: true}", "tracing.enabled: this version writes no traces yet"),
        ("http: {listen: '0.0.0.0:9797'}", "http.listen: others could reach 0.0.0.0:9797"),
        ("http: {listen: 'example.org:80'}", "--insecure"),
        ("http: {listen: '9797'}", "http.listen: `9797` is not HOST:PORT"),
        ("http: {listen: '::1:9797'}", "is not HOST:PORT"),
        ("http: {external_url: 'tune.example.org'}", "http.external_url: `tune.example.org` is not like"),
        ("host: {interval: 5s, warmup_interval: 10s}", "host.warmup_interval: 10s is outside 100ms to 5s (FILE:1)"),
        ("files: [{path: a.csv, speed: fast}]", "files[0].speed: `fast` is not a speed"),
        ("log: {level: loud}", "log.level: unknown variant `loud`"),
        ("webhooks: [{url: 'https://x/'}]", "webhooks[0].url: `https://x/…` is not like http://host"),
        ("webhooks: [{url: 'http://name:secret@x/'}]", "webhooks[0].url: `http://x/…`"),
        ("webhooks: [{url: 'http://x', timeout: 1h}]", "webhooks[0].timeout: 1h is outside"),
        ("webhooks: [{url: 'http://x', loops: [all]}]", "webhooks[0].loops[0]: unknown variant `all`"),
        ("webhooks: [{loops: []}]", "webhooks[0]: missing field `url`"),
        ("pages: {alert: ''}", "pages.alert: a name is wanted"),
        ("pages: {watchdog: HomeostatAnomaly}", "pages.watchdog: alerts are called"),
        ("pages: {labels: [series=x]}", "pages.labels[0]: `series` is set already"),
        ("pages: {group_interval: 1ms}", "pages.group_interval: 1ms is outside"),
        ("pages: {repeat_interval: 1m}", "pages.repeat_interval: 1m is outside 5m"),
        ("pages: {wtchdog: x}", "did you mean `pages.watchdog`"),
        ("receivers: [{kind: email}]", "receivers[0].kind: unknown variant `email`"),
        ("receivers: [{kind: webhook}]", "receivers[0].url: where the webhook is has to be said"),
        ("receivers: [{kind: webhook, url: 'http://x:y@h/'}]", "receivers[0].url: leave the name and the password out"),
        ("receivers: [{kind: alertmanager, url: 'http://a:9093/api/v2'}]", "what stands before /api/v2"),
        ("receivers: [{kind: command}]", "receivers[0].command: a program"),
        ("receivers: [{kind: command, command: [a], url: 'http://a'}]", "receivers[0].url: a command has none"),
        ("receivers: [{kind: command, command: [a], tenant: b}]", "receivers[0].headers: a command gets no"),
        ("receivers: [{kind: webhook, url: 'http://a', command: [b]}]", "receivers[0].command: a receiver of kind"),
        ("receivers: [{kind: webhook, url: 'http://a', resend: 1ms}]", "receivers[0].resend: 1ms is outside"),
        ("receivers: [{kind: webhook, url: 'http://a', tenant: 'a b'}]", "receivers[0].tenant: it has to be one word"),
        (
            "receivers: [{kind: webhook, url: 'http://a'}, {kind: webhook, url: 'http://a'}]",
            "http://a/… is named twice",
        ),
        ("store: {retention_max: 5}", "store.retention_max: 5 is outside"),
        (
            "http:\n  insecure: yes please\n",
            "http.insecure: invalid type: string \"yes please\", expected true or false",
        ),
    ] {
        let said = file(yaml).expect_err(yaml);
        assert!(said.contains(wanted), "{yaml}: {said}");
    }
    assert!(file("http: {listen: '0.0.0.0:9797', insecure: true}").is_ok());
    assert!(file("http: {listen: 'LocalHost:0'}").is_ok());
    assert!(file("http: {external_url: 'https://tune.example.org:8443/x'}").is_ok());
}

#[test]
fn the_environment_writes_lists_sections_and_text_without_quotes() {
    let loaded = env(&[
        ("HOMEOSTAT__SERIES", r#"[{"match": "up", "page": false}, {match: down, kind: state}]"#),
        ("HOMEOSTAT__STATES__LIMITS__HOST_PROCESSOR__DEGRADED", "{enter: 0.9, leave: 0.8}"),
        ("HOMEOSTAT__STATES__LIMITS__HOST_MEMORY__CRITICAL", "null"),
        ("HOMEOSTAT__STATES__LIMITS__OWN_MEMORY__DEGRADED__ENTER", "0.75"),
        ("HOMEOSTAT__DATA", "12345"),
    ])
    .expect("usable");
    let engine = &loaded.config.engine;
    assert_eq!(engine.series.len(), 2);
    assert_eq!(engine.series[0].page, Some(false));
    assert_eq!(engine.states.limits.host_processor.degraded.enter, 0.9);
    assert_eq!(engine.states.limits.host_memory.critical, None);
    assert_eq!(engine.states.limits.own_memory.degraded.enter, 0.75);
    assert_eq!(engine.states.limits.own_memory.degraded.leave, 0.70);
    assert_eq!(loaded.config.daemon.data, Some("12345".into()));
}

#[test]
fn variables_of_others_are_ignored_and_named() {
    let loaded = env(&[
        ("HOMEOSTAT_PORT", "tcp://10.0.0.1:9797"),
        ("HOMEOSTAT_SERVICE_HOST", "10.0.0.1"),
        ("HOMEOSTAT_URL", "http://127.0.0.1:1"),
        ("MAPEK_SOMETHING", "1"),
        ("PATH", "/bin"),
    ])
    .expect("usable");
    assert_eq!(loaded.ignored, ["HOMEOSTAT_PORT", "HOMEOSTAT_SERVICE_HOST", "MAPEK_SOMETHING"]);
}

#[test]
fn earlier_names_are_honoured_and_never_contradicted() {
    let loaded = env(&[
        ("MAPEK_LEARNING_WINDOW", "7200"),
        ("MAPEK_OPTIMIZATION_INTERVAL", "600"),
        ("MAPEK_MIN_DATA_POINTS", "40"),
        ("MAPEK_INITIAL_MONITORING", "5"),
        ("MAPEK_INITIAL_PARALLELISM", "6"),
        ("MAPEK_FEEDBACK_SIGNAL_HISTORY", "70"),
        ("MAPEK_FEEDBACK_ACTION_HISTORY", "80"),
        ("MAPEK_ENABLE_PROMETHEUS", "False"),
        ("MAPEK_ENABLE_TRACING", "0"),
    ])
    .expect("usable");
    let engine = &loaded.config.engine;
    assert_eq!(engine.learning.learning_window, Span::hours(2));
    assert_eq!(engine.learning.optimization_interval, Span::minutes(10));
    assert_eq!(engine.learning.min_data_points, 40);
    assert_eq!(engine.states.healthy.monitoring_interval, Span::from_secs(5));
    assert_eq!(engine.states.healthy.execution_parallelism, 6);
    assert_eq!((engine.feedback.signal_history, engine.feedback.action_history), (70, 80));
    assert!(!loaded.config.daemon.prometheus.enabled && !loaded.config.daemon.tracing.enabled);
    assert_eq!(loaded.provenance.origin("prometheus.enabled").to_string(), "environment MAPEK_ENABLE_PROMETHEUS");

    let both = [("MAPEK_LEARNING_WINDOW", "86400"), ("HOMEOSTAT__LEARNING__LEARNING_WINDOW", "1d")];
    assert!(env(&both).is_ok(), "the same value said twice");
    let said = env(&[("MAPEK_LEARNING_WINDOW", "86400"), ("HOMEOSTAT__LEARNING__LEARNING_WINDOW", "2d")])
        .expect_err("two values");
    assert!(said.contains("MAPEK_LEARNING_WINDOW") && said.contains("HOMEOSTAT__LEARNING__LEARNING_WINDOW"), "{said}");
    let said = env(&[("MAPEK_LEARNING_WINDOW", "86400"), ("HOMEOSTAT__LEARNING", "{learning_window: 2d}")]);
    assert!(said.expect_err("two values").contains("HOMEOSTAT__LEARNING"));
    let said = env(&[("MAPEK_ENABLE_TRACING", "true")]).expect_err("no traces yet");
    assert!(said.contains("no traces yet") && said.contains("MAPEK_ENABLE_TRACING"), "{said}");
    let said = env(&[("MAPEK_LEARNING_WINDOW", "soon")]).expect_err("not a number");
    assert!(said.contains("`soon` is not a number of seconds"), "{said}");
}

#[test]
fn what_is_shown_can_be_read_again_and_tells_where_it_came_from() {
    let yaml = "series:\n  - match: 'up{job=\"a # b\"}'\n    watch: true\n  - match: 'true'\nfiles: [{path: 'a b.csv', \
                speed: 10x}]\nlog: {level: debug}\nstates: {limits: {host_memory: {critical: null}}}\n";
    let loaded = load(yaml, &[("HOME", "/home/x")], &Flags::default()).expect("usable");
    assert_eq!(loaded.config.daemon.data, Some("/home/x/.local/state/homeostat".into()));
    let shown = loaded.to_yaml();
    let again = file(&shown).expect(&shown);
    assert_eq!(again.config, loaded.config, "{shown}");
    let has = |start: &str, end: &str| shown.lines().any(|line| line.starts_with(start) && line.ends_with(end));
    assert!(has("  window_len: 10000", "# default"), "{shown}");
    assert!(has("  level: debug", ":6"), "{shown}");
    assert!(has("    watch: true", ":3"), "{shown}");
    let json = loaded.to_json();
    assert_eq!(json["config"]["learning"]["window_len"], 10000);
    assert_eq!(json["origin"]["learning.window_len"], "default");
}

#[test]
fn data_goes_where_the_xdg_specification_says() {
    let data = |variables: &[(&str, &str)]| env(variables).expect("usable").config.daemon.data;
    assert_eq!(data(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), Some("/s/homeostat".into()));
    assert_eq!(data(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]), Some("/h/.local/state/homeostat".into()));
    assert_eq!(data(&[]), None);
    let loaded = load("data: null", &[("HOME", "/h")], &Flags::default()).expect("usable");
    assert_eq!(loaded.config.daemon.data, Some("/h/.local/state/homeostat".into()), "null keeps the default");
}

#[test]
fn hostile_files_are_refused_quickly() {
    let deep = "a: ".to_owned() + &"[".repeat(100_000);
    let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (one, two) in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"].map(|pair| pair.split_at(1)) {
        laughs.push_str(&format!("{two}: &{two} [*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one}]\n"));
    }
    let large = "#".repeat(FILE_LEN_MAX as usize + 1);
    let wide = "series:\n".to_owned() + &"- {match: a}\n".repeat(60_000);
    let started = std::time::Instant::now();
    for (name, text) in [("deep", &deep), ("laughs", &laughs), ("large", &large), ("wide", &wide)] {
        let said = file(text).expect_err(name);
        assert!(said.len() < 600, "{name}: {} bytes of message: {}", said.len(), &said[..200]);
    }
    for text in ["learning: {window_len: 5", "learning:\n\twindow_len: 5", "a: 1\na: 2", "--- \n---\n", "[1, 2]", "\0"]
    {
        assert!(file(text).is_err(), "{text:?}");
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    assert_eq!(file("# nothing\n").expect("an empty file says nothing").config, Config::default());
    assert_eq!(file("\u{feff}learning:\n").expect("a section without keys").config, Config::default());
    let said = file("learning:\n  window_len: 500\n  window_len: 600\n").expect_err("twice");
    assert!(said.contains("FILE:3"), "{said}");
    let error = Config::load(Some(Path::new("/nowhere/x.yaml")), [].into_iter(), &Flags::default(), &strategies());
    assert!(error.expect_err("no such file").to_string().contains("/nowhere/x.yaml"));
}

#[test]
fn the_schema_describes_the_file_and_knows_the_defaults() {
    let schema = Config::schema();
    assert_eq!(schema["properties"]["learning"]["default"]["window_len"], 10000);
    assert!(schema["properties"]["http"].is_object() && schema["properties"]["series"].is_object());
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema::known_keys().iter().any(|key| key == "states.limits.false_share.critical.enter"));
}

#[test]
fn what_a_file_says_is_counted_value_by_value() {
    let text = "data: here\ncalendars:\n  - {kind: holiday, dates: [2026-12-24], name: Christmas}\n";
    // What a list leaves out are defaults, as elsewhere.
    assert_eq!(file(text).expect("usable").provenance.written(), 4);
    assert_eq!(file("").expect("usable").provenance.written(), 0);
}
