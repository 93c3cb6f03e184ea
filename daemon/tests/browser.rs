//! The page as a person meets it: the real binary watching this host, and Debian's Chromium looking at it, driven by the
//! W3C WebDriver protocol.

mod common;

use common::{Daemon, now, shifted, wait_until, write};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How WebDriver marks an element in its answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The key Enter, as WebDriver writes it.
const ENTER: &str = "\u{E007}";

/// A browser of its own, with nothing remembered, that talks to nobody but the page.
struct Browser {
    driver: Child,
    agent: ureq::Agent,
    /// Where chromedriver has our session.
    session: String,
    _profile: TempDir,
}

impl Browser {
    fn start() -> Browser {
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = driver.unwrap_or_else(|error| {
            panic!("chromedriver does not start ({error}): apt-get install chromium chromium-driver")
        });
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port: u16 = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())
            .expect("chromedriver tells its port");
        // What else it says is read, so that it can say it.
        std::thread::spawn(move || lines.for_each(drop));
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let profile = TempDir::new().expect("a folder");
        let session = format!("http://127.0.0.1:{port}/session");
        let mut browser = Browser { driver, agent: config.into(), session, _profile: profile };
        let mut args: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]
        .map(str::to_owned)
        .into();
        args.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let id = browser.post("", &wanted)["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let answer = self.agent.post(format!("{}{command}", self.session)).send_json(body);
        let mut answer = answer.unwrap_or_else(|error| panic!("{command}: {error}"));
        let mut told: Value = answer.body_mut().read_json().expect("JSON");
        assert!(answer.status().is_success(), "{command} {body}: {}", told["value"]["message"]);
        told["value"].take()
    }

    fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// What a script returns; it has [`HELP`].
    fn run(&self, script: &str, args: &Value) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("{HELP}{script}"), "args": args }))
    }

    /// A command of Chromium's own protocol.
    fn emulate(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": format!("Emulation.{command}"), "params": parameters }));
    }

    fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.emulate("setDeviceMetricsOverride", &size);
    }

    fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.emulate("setEmulatedMedia", &features);
    }

    /// Waits until a script returns something that counts as true.
    fn wait_for(&self, what: &str, script: &str, args: &Value) -> Value {
        wait_until(what, || {
            Some(self.run(script, args)).filter(|found| !matches!(found, Value::Null | Value::Bool(false)))
        })
    }

    /// A real click, on an element that a script returned.
    fn click(&self, element: &Value) {
        self.post(&format!("/element/{}/click", element[ELEMENT].as_str().expect("an element")), &json!({}));
    }

    /// Keys, typed at an element that a script returned.
    fn press(&self, element: &Value, keys: &str) {
        self.post(
            &format!("/element/{}/value", element[ELEMENT].as_str().expect("an element")),
            &json!({ "text": keys }),
        );
    }

    /// What the console said is wrong: mistakes of scripts, files that are missing, rules of the page's own that it broke.
    fn errors(&self) -> Vec<Value> {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().expect("a list").clone();
        entries.into_iter().filter(|entry| entry["level"] == "SEVERE").collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium too; what is gone already need not end.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What the scripts share: the chart of a series, and how many of its pixels have the colour of a name in the style sheet.
const HELP: &str = "
    const charts = () => [...document.querySelectorAll('[data-series]')];
    const chartOf = (series) => charts().find((chart) => chart.dataset.series === series);
    const pixels = (chart, name) => {
        const canvas = chart?.querySelector('canvas');
        if (!canvas) return 0;
        const probe = document.createElement('canvas').getContext('2d');
        probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        probe.fillRect(0, 0, 1, 1);
        const wanted = probe.getImageData(0, 0, 1, 1).data;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 0; at < data.length; at += 4) count += wanted.every((part, n) => Math.abs(data[at + n] - part) <= 2);
        return count;
    };";

/// The series of the first chart of at least 100 samples that shows a line, and a band between bounds.
const BOUNDED: &str = "
    const bounded = charts().find((chart) => Number(chart.dataset.samples) >= 100 &&
        (chart.dataset.upper ?? chart.dataset.lower) !== undefined &&
        pixels(chart, '--chart-value') > 20 && pixels(chart, '--chart-band') > 200);
    return bounded?.dataset.series ?? null;";

const LINE: &str = "return pixels(chartOf(arguments[0]), '--chart-value') > 20;";

/// A button of a series' card.
const BUTTON: &str = "
    const [series, verdict] = arguments;
    return chartOf(series).closest('article').querySelector(`[data-verdict=\"${verdict}\"]`);";

/// What a series' card says of the effect of a verdict; null until its sensitivity moved, and stands so on the card.
const EFFECT: &str = "
    const [series, verdict] = arguments;
    const card = chartOf(series).closest('article');
    const said = card.querySelector('[role=status]').textContent.match(/^“(\\w+)” recorded as #(\\d+)\\. Sensitivity ([\\d.]+) σ → ([\\d.]+) σ\\.$/);
    const fact = [...card.querySelectorAll('dt')].find((term) => term.textContent === 'Sensitivity').nextSibling.textContent;
    if (said?.[1] !== verdict || fact !== `${said[4]} σ`) return null;
    return { id: Number(said[2]), before: Number(said[3]), after: Number(said[4]) };";

/// The line that counts what is held, once it knows the two buckets.
const HELD: &str = "
    const line = document.querySelector('#held-line');
    return /^\\d+ series are held, not watched: .*\\b2 histogram buckets\\b/.test(line.textContent) ? line : null;";

/// The name in that list that shows and folds the card of a series.
const OPENS: &str = "return [...document.querySelectorAll('[data-opens]')].find((name) => name.dataset.opens === arguments[0]) ?? null;";

const HEARD: &str = "
    return [...document.querySelectorAll('#event-list li')].some((item) => item.textContent.includes(arguments[0]));";

/// Whatever can be used and has no name that is read out.
const NAMELESS: &str = "
    return [...document.querySelectorAll('button, select, input, a[href], [role=img]')].filter((element) =>
        !element.getAttribute('aria-label') && ![...(element.labels ?? [])].some((label) => label.textContent.trim()) &&
        (element.matches('select, input, [role=img]') || !element.textContent.trim())).map((element) => element.outerHTML);";

/// Lightness of the ground and of the text, 0 to 255.
const LIGHTNESS: &str = "
    const { backgroundColor, color } = getComputedStyle(document.body);
    return [backgroundColor, color].map((text) => Math.max(...text.match(/\\d+/g).slice(0, 3).map(Number)));";

#[test]
#[ignore = "needs chromedriver and chromium: ./dev check runs it"]
fn a_person_sees_bounds_gives_a_verdict_and_sees_its_effect() {
    let dir = TempDir::new().expect("a folder");
    // A histogram of a file, too: its buckets are held, not watched.
    let bucket = |le: &str| format!(r#"latency_bucket{{le="{le}"}}"#);
    let rows =
        |n: u64| ["0.1", "+Inf"].map(|le| json!({ "series": bucket(le), "timestamp": now() - 10 + n, "value": n }));
    let rows: Vec<String> = (0..5).flat_map(rows).map(|row| row.to_string()).collect();
    write(&dir, "buckets.jsonl", &rows.join("\n"));
    write(&dir, "homeostat.yaml", "host: {warmup_interval: 100ms}\nfiles: [{path: buckets.jsonl}]\n");
    let daemon = Daemon::go_on(dir.path());
    let browser = Browser::start();
    browser.resize(1400, 1000);
    browser.prefer("light");
    browser.open(&format!("http://{}/", daemon.address));

    // A series of this host is learned as soon as it has 100 samples; its chart shows line and band.
    let series = browser.wait_for("a chart with bounds", BOUNDED, &json!([]));
    let name = series.as_str().expect("a name");
    let row = |key: &str| {
        let rows = daemon.pages("/api/v1/thresholds", 1000);
        rows.iter().find(|row| row["series"] == name).expect("learned")[key].clone()
    };
    assert!(row("upper").is_number() || row("lower").is_number(), "{name}");

    // What is not watched fills no page: it is one line, with names behind it, and a card for who asks.
    let line = browser.wait_for("the line of what is held", HELD, &json!([]));
    browser.click(&line);
    let name_of = json!([bucket("+Inf")]);
    let cards = || browser.run("return charts().map((chart) => chart.dataset.series);", &json!([]));
    let has = |series: &str| cards().as_array().expect("a list").iter().any(|card| card == series);
    assert!(!has(&bucket("+Inf")) && !has(&bucket("0.1")), "{}", cards());
    browser.click(&browser.wait_for("its name", OPENS, &name_of));
    assert!(has(&bucket("+Inf")) && !has(&bucket("0.1")), "{}", cards());
    browser.click(&browser.wait_for("its name, pressed", OPENS, &name_of));
    assert!(!has(&bucket("+Inf")), "{}", cards());
    browser.click(&line);

    // A verdict by mouse: it did not matter.
    let told = row("sensitivity").as_f64().expect("a number");
    browser.click(&browser.run(BUTTON, &json!([series, "false"])));
    let effect = browser.wait_for("the effect of a verdict", EFFECT, &json!([series, "false"]));
    let number = |key: &str| effect[key].as_f64().expect("a number");
    assert!((number("before") - told).abs() < 0.006 && number("after") > number("before"), "{told}: {effect}");
    let signals = daemon.data("/api/v1/signals?loop=anomaly_feedback");
    assert_eq!((&signals[0]["id"], &signals[0]["series"]), (&effect["id"], &series), "the number that was given");
    let heard = format!("{name} verdict “false” recorded as #{}", effect["id"]);
    browser.wait_for("the verdict among the events", HEARD, &json!([heard]));

    // One by keyboard: something was missed.
    browser.press(&browser.run(BUTTON, &json!([series, "missed"])), ENTER);
    let effect = browser.wait_for("the effect of another", EFFECT, &json!([series, "missed"]));
    assert!(effect["after"].as_f64() < effect["before"].as_f64(), "{effect}");

    assert_eq!(browser.run(NAMELESS, &json!([])), json!([]), "everything that can be used has a name");

    // Dark, as the system prefers: ground, text and charts.
    let lightness = || {
        let both = browser.run(LIGHTNESS, &json!([]));
        [0, 1].map(|at| both[at].as_u64().expect("a number"))
    };
    let [ground, text] = lightness();
    assert!(ground > 200 && text < 80, "light: ground {ground}, text {text}");
    browser.prefer("dark");
    let [ground, text] = lightness();
    assert!(ground < 60 && text > 200, "dark: ground {ground}, text {text}");
    browser.wait_for("a line in the colours of the dark", LINE, &json!([series]));

    // A telephone: every section fits its width, and has something in it.
    browser.resize(360, 740);
    for (section, content) in [
        ("series", "#cards article canvas"),
        ("state", "#evidence li"),
        ("loops", "#loop-list tbody tr:nth-child(5)"),
        ("events", "#event-list li"),
    ] {
        browser.run("location.hash = arguments[0];", &json!([section]));
        let shown = "const at = document.querySelector(arguments[0]); return Boolean(at?.checkVisibility());";
        browser.wait_for(section, shown, &json!([content]));
        let widths = browser.run("return [document.documentElement.scrollWidth, innerWidth];", &json!([]));
        assert!(widths[0].as_u64() <= widths[1].as_u64(), "{section} is wider than the screen: {widths}");
    }
    // A state that is waited out says how long.
    assert_eq!(daemon.post("/api/v1/state", &json!({ "state": "recovering", "for": "1h" })).status, 200);
    browser.run("location.hash = 'state';", &json!([]));
    let waits = "const said = document.querySelector('#state-now').textContent; return /Leaves(at .* \\(in .*\\) if|not known)/.test(said);";
    browser.wait_for("how long the state waits", waits, &json!([]));
    assert_eq!(browser.errors(), Vec::<Value>::new());

    // The daemon goes away, and comes back at the same address: the page says the one and finds the other.
    browser.resize(1400, 1000);
    let address = daemon.address.clone();
    drop(daemon);
    let banner = "return document.querySelector('#banners').textContent.includes(arguments[0]);";
    browser.wait_for("the banner", banner, &json!(["does not answer"]));
    let _daemon = Daemon::listening(dir.path(), &address);
    let live = "return document.querySelector('#banners').textContent === '' && document.querySelector('#connection').dataset.connection === 'live';";
    browser.wait_for("the page to find the daemon again", live, &json!([]));
}

/// The words of the proposals that are shown, and their button of this answer.
const PROPOSALS: &str = "
    const shown = document.querySelector('#proposals');
    return shown.checkVisibility() ? shown.textContent : '';";
const ANSWER: &str = "return document.querySelector(`#proposals [data-answer=\"${arguments[0]}\"]`);";

#[test]
#[ignore = "needs chromedriver and chromium: ./dev check runs it"]
fn a_person_is_asked_about_levels_that_shifted_and_answers() {
    let dir = TempDir::new().expect("a folder");
    let daemon = shifted(dir.path());
    let browser = Browser::start();
    browser.resize(360, 740);
    browser.open(&format!("http://{}/", daemon.address));
    let refuse = browser.wait_for("the question", ANSWER, &json!(["refuse"]));
    let said = browser.run(PROPOSALS, &json!([]));
    let said = said.as_str().expect("text");
    for word in
        ["2 levels shifted", "Is that ordinary now?", "load 100", "queue 40", "(storage team)", "Without an answer"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    let widths = browser.run("return [document.documentElement.scrollWidth, innerWidth];", &json!([]));
    assert!(widths[0].as_u64() <= widths[1].as_u64(), "wider than the screen: {widths}");
    assert_eq!(browser.run(NAMELESS, &json!([])), json!([]), "everything that can be used has a name");
    browser.click(&refuse);
    browser.wait_for("nothing to be asked", "return document.querySelector('#proposals').hidden;", &json!([]));
    let settled = daemon.data("/api/v1/proposals")[0]["series"][0]["settled"].clone();
    assert_eq!(settled, "refused");
    browser.resize(1400, 1000);
    browser.wait_for("the answer among the events", HEARD, &json!(["proposal 1 is refused"]));
    assert_eq!(browser.errors(), Vec::<Value>::new());
}
