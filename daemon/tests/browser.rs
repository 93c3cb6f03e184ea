//! The page as a person meets it: the real binary watching this host, and Debian's Chromium looking at it, driven by the
//! W3C WebDriver protocol.

mod common;

use common::{Daemon, WHATEVER_THE_HOST_DOES, now, shifted, wait_until, write};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How WebDriver marks an element in its answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The keys Enter and Escape, as WebDriver writes them.
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

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

    /// A drag with the mouse, from a place to another, in CSS pixels from an element's middle.
    fn drag(&self, element: &Value, from: i64, to: i64) {
        let at = |x: i64| json!({ "type": "pointerMove", "duration": 0, "origin": element, "x": x, "y": 0 });
        let (down, up) = (json!({ "type": "pointerDown", "button": 0 }), json!({ "type": "pointerUp", "button": 0 }));
        let moves = json!([at(from), down, at((from + to) / 2), at(to), up]);
        self.post("/actions", &json!({ "actions": [{ "type": "pointer", "id": "mouse", "actions": moves }] }));
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

/// The name of a series on its card: what opens the drawer.
const NAME: &str = "return chartOf(arguments[0])?.closest('article').querySelector('h3 a') ?? null;";

/// The drawer on a series, once its picture is drawn: how its bounds are drawn, how many pixels of the band, and all it says.
const DRAWER: &str = "
    const drawer = document.querySelector('#drawer');
    const picture = drawer.querySelector('#picture');
    if (!drawer.open || drawer.querySelector('#drawer-name').textContent !== arguments[0] || !picture.querySelector('canvas')) return null;
    const band = pixels(picture, '--chart-band');
    return band > 200 && pixels(picture, '--chart-value') > 20 ? { bounds: picture.dataset.band, band, text: drawer.innerText } : null;";

const CLOSED: &str = "return !document.querySelector('#drawer').open;";

/// How closely the top of the drawn band follows the upper bounds that the API tells for the same times, as their correlation; null
/// while the picture shows another span.
const FOLLOWS: &str = "
    const [pairs, from, until] = arguments;
    const picture = document.querySelector('#picture');
    const canvas = picture.querySelector('canvas');
    const plot = picture.querySelector('.u-over');
    const [own, other] = [plot.getBoundingClientRect(), canvas.getBoundingClientRect()];
    const probe = document.createElement('canvas').getContext('2d');
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--chart-band').trim();
    probe.fillRect(0, 0, 1, 1);
    const wanted = probe.getImageData(0, 0, 1, 1).data;
    const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const top = (x) => {
        for (let y = 0; y < height; y += 1) if (wanted.every((part, n) => Math.abs(data[4 * (y * width + x) + n] - part) <= 2)) return y;
        return null;
    };
    const found = pairs.map(([at, upper]) => [upper, top(Math.round(own.left - other.left + (at - from) / (until - from) * own.width))]).filter(([, y]) => y !== null);
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const [us, ys] = [found.map(([u]) => u), found.map(([, y]) => y)];
    const [u, y] = [mean(us), mean(ys)];
    const sum = (f) => found.reduce((total, pair) => total + f(pair[0] - u, pair[1] - y), 0);
    return { columns: found.length, height: Math.max(...ys) - Math.min(...ys), correlation: sum((a, b) => a * b) / Math.sqrt(sum((a) => a * a) * sum((_, b) => b * b)) };";

/// Everything that the page asked for, that is not the daemon's.
const FOREIGN: &str = "return performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) => !name.startsWith(location.origin));";

const RESULT: &str = "return document.querySelector('#v-result').textContent.match(/^“(\\w+)” recorded as #(\\d+)\\. Sensitivity ([\\d.]+) σ → ([\\d.]+) σ\\.$/);";

/// Two weeks of ten minutes each: one series by the time of day, one that stands. Both have something outside now and then.
fn two_weeks() -> String {
    let mut rows = String::new();
    for n in 0..2016_u64 {
        let at = now() - (2016 - n) * 600;
        let turn = (at % 86_400) as f64 / 86_400.0 * std::f64::consts::TAU;
        let noise = (n * 7919 % 101) as f64 / 101.0 - 0.5;
        let spike = if n % 97 == 50 { 6.0 } else { 0.0 };
        writeln!(
            rows,
            r#"{{"series":"tide{{pier=\"<b>\"}}","timestamp":{at},"value":{}}}"#,
            50.0 + 20.0 * turn.sin() + 10.0 * noise + 3.0 * spike
        )
        .expect("text");
        writeln!(rows, r#"{{"series":"level","timestamp":{at},"value":{}}}"#, 30.0 + 2.0 * noise + spike)
            .expect("text");
    }
    rows
}

#[test]
#[ignore = "needs chromedriver and chromium: ./dev check runs it"]
fn a_drawer_explains_a_series_and_takes_a_verdict_from_its_picture() {
    const TIDE: &str = r#"tide{pier="<b>"}"#;
    let dir = TempDir::new().expect("a folder");
    write(&dir, "rows.jsonl", &two_weeks());
    let learning = "learning: {learning_window: 30d}\nhost: {enabled: false}\nfiles: [{path: rows.jsonl}]\n";
    let states = format!("states: {{healthy: {{monitoring_interval: 1s}}, {WHATEVER_THE_HOST_DOES}}}\n");
    write(&dir, "homeostat.yaml", &format!("{learning}{states}series: [{{match: 'tide{{}}', strategy: seasonal}}]\n"));
    let daemon = Daemon::go_on(dir.path());
    daemon.wait_for_thresholds(2);
    let browser = Browser::start();
    browser.resize(1400, 1200);
    browser.prefer("light");
    let page = format!("http://{}/", daemon.address);
    browser.open(&page);

    // By mouse: bounds that stand. Escape closes, and leads back to where it was opened.
    let name = json!(["level"]);
    browser.click(&browser.wait_for("the card", NAME, &name));
    let told = browser.wait_for("the drawer", DRAWER, &name);
    assert_eq!(told["bounds"], "constant");
    let says = |told: &Value, text: &str| {
        assert!(told["text"].as_str().expect("text").contains(text), "no “{text}” in {}", told["text"]);
    };
    for text in [
        "auto ›",
        "is the chance of this: that in the 7 days",
        "It rests on",
        "What would change it",
        "5 per week, shared by 2 series",
        "Rivals",
        "chosen",
        "What the detector sees",
        "2,016 samples",
        "Sensitivity",
    ] {
        says(&told, text);
    }
    assert_eq!(browser.run("return location.hash;", &json!([])), "#series=level");
    browser.press(&browser.run("return document.activeElement;", &json!([])), ESCAPE);
    browser.wait_for("the drawer to close", CLOSED, &json!([]));
    browser.wait_for("the address of the list", "return location.hash === '#series';", &json!([]));
    assert_eq!(browser.run("return document.activeElement.hash;", &json!([])), "#series=level");

    // By keyboard: bounds that follow the clock, and are drawn so.
    let name = json!([TIDE]);
    browser.press(&browser.wait_for("the other card", NAME, &name), ENTER);
    let told = browser.wait_for("the other drawer", DRAWER, &name);
    assert_eq!(told["bounds"], "periodic");
    says(&told, "by time of day");
    browser.click(&browser.run("return document.querySelector('[data-part=\"86400\"]');", &json!([])));
    let encoded = browser.run("return encodeURIComponent(arguments[0]);", &name);
    let of_series = format!("series={}", encoded.as_str().expect("text"));
    let samples = daemon.data(&format!("/api/v1/series/samples?{of_series}&limit=5000"));
    let list = |key: &str| samples[key].as_array().expect("a list").clone();
    let (rows, band) = (list("samples"), list("band"));
    let time = |row: &Value| row[0].as_i64().expect("milliseconds");
    let until = time(rows.last().expect("samples"));
    let from = until - 86_400_000;
    // In the middle between two samples, where the band is flat.
    let pairs: Vec<Value> = rows
        .iter()
        .zip(&band)
        .filter(|(row, _)| time(row) >= from && time(row) < until)
        .map(|(row, pair)| json!([time(row) + 300_000, pair["upper"]]))
        .collect();
    assert!(pairs.len() > 100, "{}", pairs.len());
    let followed = browser.wait_for("the band of the last day", FOLLOWS, &json!([pairs, from, until]));
    assert!(followed["columns"].as_u64() > Some(80) && followed["height"].as_f64() > Some(80.0), "{followed}");
    assert!(followed["correlation"].as_f64() < Some(-0.99), "higher bounds are drawn higher up: {followed}");

    // By its address. A verdict on a moment that is clicked on the picture, with a comment that is no markup.
    browser.open("about:blank");
    browser.open(&format!("{page}#{of_series}"));
    browser.wait_for("the drawer by its address", DRAWER, &name);
    let plot = browser.run("return document.querySelector('#picture .u-over');", &json!([]));
    browser.click(&plot);
    let about = "return [document.querySelector('#v-about').value, document.querySelector('#v-from').value !== '', document.querySelector('#v-until').value !== ''];";
    assert_eq!(browser.run(about, &json!([])), json!(["moment", true, false]));
    browser.press(&browser.run("return document.querySelector('#v-comment');", &json!([])), "<i>spring tide</i>");
    let button = |verdict: &str| {
        browser.run("return document.querySelector(`#v-buttons [data-verdict=${arguments[0]}]`);", &json!([verdict]))
    };
    browser.press(&button("missed"), ENTER);
    let moved = browser.wait_for("the effect of the verdict", RESULT, &json!([]));
    let number = |value: &Value| value.as_str().expect("text").parse::<f64>().expect("a number");
    assert!(moved[1] == "missed" && number(&moved[4]) < number(&moved[3]), "{moved}");
    let verdict = daemon.data("/api/v1/signals?loop=anomaly_feedback")[0].clone();
    let asked = &verdict["metadata"];
    assert_eq!((&asked["comment"], &asked["about"]), (&json!("<i>spring tide</i>"), &json!("moment")), "{verdict}");
    let heard = "const row = document.querySelector('[data-part=feedback] tbody').innerText; return row.includes('<i>spring tide</i>') && !document.querySelector('#explained i');";
    browser.wait_for("the verdict in the drawer", heard, &json!([]));

    // On a period that is dragged over: it mattered, and is not learned from.
    browser.drag(&plot, -100, -60);
    assert_eq!(browser.run(about, &json!([])), json!(["period", true, true]));
    browser.click(&button("true"));
    let masked = "return pixels(document.querySelector('#picture'), '--chart-masked') > 200 && document.querySelector('#picture-legend').textContent.includes('not learned from');";
    browser.wait_for("the period that is left out, in the picture", masked, &json!([]));
    let period = daemon.data("/api/v1/signals?loop=anomaly_feedback")[0].clone();
    assert_eq!(period["metadata"]["about"], "period", "{period}");
    let covered = daemon.data(&format!("/api/v1/series/samples?{of_series}&limit=5000"))["masked"].clone();
    assert!(covered[0][0].as_i64() < covered[0][1].as_i64(), "{covered}");

    // Since when it is another series is one thing to say; else there are three.
    let offered = "const about = document.querySelector('#v-about'); about.value = arguments[0]; about.dispatchEvent(new Event('change', { bubbles: true }));
        return [...document.querySelectorAll('#v-buttons button')].map((button) => button.textContent);";
    assert_eq!(browser.run(offered, &json!(["change"])), json!(["Another series since"]));
    assert_eq!(browser.run(offered, &json!(["latest"])), json!(["True", "False", "Missed"]));

    // Everything has a name; the dark and a telephone have room for it.
    assert_eq!(browser.run(NAMELESS, &json!([])), json!([]), "everything that can be used has a name");
    browser.prefer("dark");
    browser.resize(360, 740);
    browser.click(&browser.run("return document.querySelector('[data-part=\"86400\"]');", &json!([])));
    browser.wait_for("the drawer in the dark", DRAWER, &name);
    let widths = "const d = document.querySelector('#drawer'); return [d.scrollWidth, d.clientWidth, Math.round(d.getBoundingClientRect().left), document.documentElement.scrollWidth, innerWidth];";
    let widths = browser.run(widths, &json!([]));
    assert!(widths[0] == widths[1] && widths[2] == 0 && widths[3].as_u64() <= widths[4].as_u64(), "{widths}");
    browser.click(&browser.run("return document.querySelector('#drawer-close');", &json!([])));
    browser.wait_for("the drawer to close", CLOSED, &json!([]));

    // What a later daemon knows and this page has no words for is shown as it comes, and is never markup.
    let later = "import('/explain.js').then(({ explained, words }) => fetch(arguments[0]).then((answer) => answer.json()).then(({ data }) => {
        const known = { ...data, tides: { next: '2026-01-31T12:00:00.000Z', by: ['<b>moon</b>', 7] }, owner: 'harbour', during: { kind: 'holiday', name: 'New Year', until: data.last.at } };
        const holder = document.createElement('div');
        explained(holder, known, { base: '', per: '', negative: true });
        document.body.dataset.later = `${words(known, { base: '', per: '', negative: true }).join(' ')} ${holder.textContent}`;
    })); return true;";
    browser.run(later, &json!([format!("/api/v1/explain?{of_series}")]));
    let told =
        browser.wait_for("the parts of a later daemon", "return document.body.dataset.later ?? null;", &json!([]));
    for text in ["tides", "<b>moon</b>", "Ownerharbour", "Holiday until ", ": New Year."] {
        assert!(told.as_str().is_some_and(|told| told.contains(text)), "no {text} in {told}");
    }

    // A link from a page asks whether the alert of a moment mattered. It says nothing by itself: a person does.
    let verdicts = || {
        let signals = daemon.list("/api/v1/signals?series=level");
        signals.into_iter().filter(|signal| !signal["verdict"].is_null()).collect::<Vec<_>>()
    };
    let at = daemon.data("/api/v1/explain?series=level")["last"]["at"].as_str().expect("a time").to_owned();
    browser.open(&format!("{page}#series=level&judge={at}"));
    let question = "return document.querySelector('#v-result').textContent.includes('matter?') && document.querySelector('#v-about').value === 'moment';";
    browser.wait_for("the question", question, &json!([]));
    assert_eq!(verdicts().len(), 0, "a link acts on nothing");
    browser.click(&browser.run("return document.querySelector('#v-buttons [data-verdict=\"true\"]');", &json!([])));
    let said = wait_until("the verdict", || verdicts().pop());
    assert_eq!((&said["verdict"], &said["metadata"]["at"]), (&json!("true"), &json!(at)));

    // A name that nobody knows is said to be so.
    assert_eq!(browser.errors(), Vec::<Value>::new());
    assert_eq!(browser.run(FOREIGN, &json!([])), json!([]), "the page asks nobody but its daemon");
    browser.run("location.hash = 'series=nobody';", &json!([]));
    let unknown =
        "return document.querySelector('#drawer-problem').textContent.includes('No series of this name is known');";
    browser.wait_for("that it is not known", unknown, &json!([]));
}

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
