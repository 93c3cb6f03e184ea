//! What the books say: pages a week of each arm, what only one missed, how late, and which of the two is better.

use super::book::{self, Arm, Book, Counts, Episode};
use crate::stats::anytime;
use crate::time::Span;
use serde::Serialize;

const WEEK_SECS: f64 = 7.0 * 24.0 * 3600.0;

/// Of the learned arm, against the static one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Better,
    Worse,
    /// The interval holds zero: not known yet, or no difference.
    NotKnownYet,
}

impl Verdict {
    pub const ALL: [Verdict; 3] = [Verdict::Better, Verdict::Worse, Verdict::NotKnownYet];

    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::NotKnownYet => "not_known_yet",
        }
    }

    /// Of something of which less is better.
    fn of(low: f64, high: f64) -> Verdict {
        if high < 0.0 {
            Verdict::Better
        } else if low > 0.0 {
            Verdict::Worse
        } else {
            Verdict::NotKnownYet
        }
    }
}

/// What one arm did.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArmReport {
    pub pages: u64,
    /// Of all series together.
    pub pages_per_week: f64,
    /// Pages that people called false.
    pub pages_false: u64,
    /// Episodes that mattered, by verdicts, and in which it said nothing.
    pub missed: u64,
}

/// Learned less static, in occasions a week of all series together; below zero is fewer. The interval holds at 95 %, however
/// often it is looked at.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    pub per_week: f64,
    pub low: f64,
    pub high: f64,
    pub verdict: Verdict,
}

/// By how much later the learned arm was, in seconds, over episodes in which both paged; below zero it was earlier.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delay {
    pub episodes: u64,
    pub median_s: Option<f64>,
    /// The interval of that; none while there are too few.
    pub low_s: Option<f64>,
    pub high_s: Option<f64>,
    pub verdict: Verdict,
}

/// What the comparison says of some series together.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    pub series: u64,
    /// For how long they were compared, on average.
    pub weeks: f64,
    pub learned: ArmReport,
    #[serde(rename = "static")]
    pub fixed: ArmReport,
    /// Episodes that mattered, by verdicts.
    pub mattered: u64,
    /// Pages a week, learned less static. Pages come in bursts: it carries no interval.
    pub pages_difference_per_week: f64,
    /// Occasions on which the learned arm alone paged, less those on which the static one alone did.
    pub occasions: Difference,
    /// Occasions that mattered and of which the learned arm alone said nothing, less those of the static one.
    pub misses: Difference,
    pub delay: Delay,
    pub verdict: Verdict,
    /// The same for a person.
    pub in_words: String,
}

/// What these books say together.
pub fn report(books: &[&Book]) -> Report {
    let mut counts = Counts::default();
    books.iter().for_each(|book| counts.sum(&book.counts()));
    let series_weeks: f64 = books.iter().map(|book| book.watched.secs() / WEEK_SECS).sum();
    // A week of all series.
    let per_week = if series_weeks > 0.0 { books.len() as f64 / series_weeks } else { 0.0 };

    let occasions = difference(book::alone(books, false), per_week);
    let told = book::alone(books, true);
    let misses = difference([told[Arm::Static as usize], told[Arm::Learned as usize]], per_week);
    let delay = delay(books);
    let verdict = match (occasions.verdict, misses.verdict) {
        (Verdict::Worse, _) | (_, Verdict::Worse) => Verdict::Worse,
        (Verdict::Better, _) | (_, Verdict::Better) => Verdict::Better,
        _ => Verdict::NotKnownYet,
    };
    let arm = |arm: Arm| {
        let of = arm as usize;
        ArmReport {
            pages: counts.pages[of],
            pages_per_week: counts.pages[of] as f64 * per_week,
            pages_false: counts.pages_false[of],
            missed: counts.missed[of],
        }
    };
    let [learned, fixed] = Arm::ALL.map(arm);
    let in_words = in_words(verdict, [&learned, &fixed], &occasions, &misses, &delay, counts.mattered);
    Report {
        series: books.len() as u64,
        weeks: series_weeks / books.len().max(1) as f64,
        pages_difference_per_week: learned.pages_per_week - fixed.pages_per_week,
        learned,
        fixed,
        mattered: counts.mattered,
        occasions,
        misses,
        delay,
        verdict,
        in_words,
    }
}

/// On how many occasions one arm alone paged for a series, by [`Arm`]. What begins within an hour of a first such page, of whatever
/// series, is one occasion.
pub fn alone(books: &[&Book]) -> [u64; 2] {
    book::alone(books, false)
}

/// `only` by [`Arm`]: what one had and the other had not.
fn difference(only: [u64; 2], per_week: f64) -> Difference {
    let [learned, fixed] = only.map(|count| count as f64);
    let (low, high) = anytime::difference(learned, fixed);
    let (low, high) = (low * per_week, high * per_week);
    Difference { per_week: (learned - fixed) * per_week, low, high, verdict: Verdict::of(low, high) }
}

fn delay(books: &[&Book]) -> Delay {
    let mut delays: Vec<f64> = books.iter().flat_map(|book| book.episodes()).filter_map(Episode::delay_s).collect();
    delays.sort_unstable_by(f64::total_cmp);
    let n = delays.len();
    let median = (n > 0).then(|| f64::midpoint(delays[(n - 1) / 2], delays[n / 2]));
    let interval = anytime::median(&delays);
    Delay {
        episodes: n as u64,
        median_s: median,
        low_s: interval.map(|(low, _)| low),
        high_s: interval.map(|(_, high)| high),
        verdict: interval.map_or(Verdict::NotKnownYet, |(low, high)| Verdict::of(low, high)),
    }
}

fn in_words(
    verdict: Verdict,
    [learned, fixed]: [&ArmReport; 2],
    occasions: &Difference,
    misses: &Difference,
    delay: &Delay,
    mattered: u64,
) -> String {
    let said = |of: &Difference, what: &str| {
        let (count, low, high) = (of.per_week.abs(), of.low, of.high);
        match of.verdict {
            Verdict::Better => format!("{count:.1} {what} a week fewer ({:.1} to {:.1})", -high, -low),
            Verdict::Worse => format!("{count:.1} {what} a week more ({low:.1} to {high:.1})"),
            Verdict::NotKnownYet => {
                let known = if of.per_week <= 0.0 { "fewer" } else { "more" };
                format!("{count:.1} {what} a week {known}, which may be chance ({low:.1} to {high:.1})")
            }
        }
    };
    let mut text = match verdict {
        Verdict::Better => "learned is better: ",
        Verdict::Worse => "learned is worse: ",
        Verdict::NotKnownYet => "not known yet: ",
    }
    .to_owned();
    text.push_str(&format!("{:.1} pages a week against {:.1}; ", learned.pages_per_week, fixed.pages_per_week));
    text.push_str(&said(occasions, "occasions to page"));
    text.push_str("; ");
    match mattered {
        0 => text.push_str("nobody said what mattered, so what either misses is not known"),
        _ => text.push_str(&said(misses, "misses")),
    }
    if let Some(median) = delay.median_s {
        let when = if median <= 0.0 { "earlier" } else { "later" };
        let chance = if delay.verdict == Verdict::NotKnownYet { ", which may be chance" } else { "" };
        text.push_str(&format!("; {} {when} in the median{chance}", Span::from_secs(median.abs().round() as u64)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback;
    use crate::replay::{Labels, Page};
    use crate::time::Timestamp;

    fn pages(every_hours: f64, weeks: f64, from_minutes: i64) -> Vec<Page> {
        let count = (weeks * 168.0 / every_hours) as i64;
        let began = |n: i64| Timestamp::from_secs((n as f64 * every_hours * 3600.0) as i64 + 60 * from_minutes);
        let page = |n: i64| Page {
            labels: Labels::default(),
            pending_since: began(n),
            began: began(n),
            ended: Some(began(n) + Span::minutes(5)),
        };
        (0..count).map(page).collect()
    }

    fn weeks(weeks: u64) -> Span {
        Span::hours(168 * weeks)
    }

    #[test]
    fn ten_pages_a_week_fewer_are_known_after_a_week_and_one_is_not() {
        let many = Book::of_pages(&[], &pages(16.0, 1.0, 0), weeks(1));
        let told = report(&[&many]);
        assert_eq!((told.learned.pages, told.fixed.pages), (0, 10));
        assert_eq!((told.occasions.verdict, told.verdict), (Verdict::Better, Verdict::Better), "{}", told.in_words);
        assert!(told.occasions.low < -20.0 && (-4.0..-0.5).contains(&told.occasions.high), "{:?}", told.occasions);
        let few = Book::of_pages(&[], &pages(168.0, 1.0, 0), weeks(1));
        let told = report(&[&few]);
        assert_eq!(told.verdict, Verdict::NotKnownYet);
        assert!(
            told.in_words.starts_with(
                "not known yet: 0.0 pages a week against 1.0; 1.0 occasions to page a week fewer, which may be chance"
            ),
            "{}",
            told.in_words
        );
        let worse = Book::of_pages(&pages(16.0, 1.0, 0), &[], weeks(1));
        assert_eq!(report(&[&worse]).verdict, Verdict::Worse);
    }

    #[test]
    fn fifty_series_that_page_at_once_are_one_occasion() {
        let outage = |series: i64| Book::of_pages(&[], &pages(168.0, 1.0, series), weeks(1));
        let books: Vec<Book> = (0..50).map(outage).collect();
        let told = report(&books.iter().collect::<Vec<_>>());
        assert_eq!((told.fixed.pages, told.fixed.pages_per_week, told.weeks), (50, 50.0, 1.0));
        assert_eq!(told.verdict, Verdict::NotKnownYet, "{}", told.in_words);
        let alone: Vec<Book> = (0..50).map(|series| outage(120 * series)).collect();
        assert_eq!(report(&alone.iter().collect::<Vec<_>>()).verdict, Verdict::Better);
    }

    #[test]
    fn fewer_pages_are_no_gain_where_trouble_is_missed() {
        let mut book = Book::of_pages(&[], &pages(16.0, 2.0, 0), weeks(2));
        for page in pages(16.0, 2.0, 0) {
            book.hear(feedback::Verdict::Missed, page.began, page.began);
        }
        let told = report(&[&book]);
        assert_eq!((told.mattered, told.learned.missed, told.fixed.missed), (21, 21, 0));
        assert_eq!((told.occasions.verdict, told.misses.verdict), (Verdict::Better, Verdict::Worse));
        assert_eq!(told.verdict, Verdict::Worse, "{}", told.in_words);
    }

    #[test]
    fn a_delay_is_known_once_enough_were_told_by_both() {
        let (early, late) = (pages(24.0, 3.0, 0), pages(24.0, 3.0, 3));
        let told = report(&[&Book::of_pages(&early, &late, weeks(3))]);
        assert_eq!((told.delay.episodes, told.delay.median_s, told.delay.verdict), (21, Some(-180.0), Verdict::Better));
        assert_eq!((told.occasions.per_week, told.verdict), (0.0, Verdict::NotKnownYet));
        assert!(told.in_words.ends_with("; 3m earlier in the median"), "{}", told.in_words);
        let nothing = report(&[]);
        assert_eq!((nothing.series, nothing.weeks, nothing.verdict), (0, 0.0, Verdict::NotKnownYet));
    }

    /// Looks after each occasion, for two hundred of them, in bursts of up to dozens of pages of twenty series; both arms are
    /// equally likely to be the one that pages. How often, of these runs, there ever was a verdict; by ours, and by the interval
    /// for pages as if they came one at a time.
    #[test]
    fn bursts_fool_nobody_who_looks_all_the_time() {
        let (mut ours, mut by_page) = (0, 0);
        for seed in 1..=60_u64 {
            let mut chance = seed;
            let mut next = || {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (chance >> 33) as f64 / (1_u64 << 31) as f64
            };
            let mut books = vec![Book::default(); 20];
            books.iter_mut().for_each(|book| book.watched = weeks(1));
            let (mut at, mut pages) = (Timestamp::from_secs(1_700_000_000), [0.0, 0.0]);
            let (mut fooled, mut fooled_by_page) = (false, false);
            for _ in 0..200 {
                at = at + Span::from_secs((-(1.0 - next()).ln() * 12.0 * 3600.0) as u64);
                let arm = if next() < 0.5 { Arm::Learned } else { Arm::Static };
                // Geometric, with a mean of eight.
                let burst = 1 + ((1.0 - next()).ln() / (1.0_f64 - 1.0 / 8.0).ln()) as usize;
                for n in 0..burst {
                    let page = at + Span::from_secs(7 * n as u64);
                    let book = &mut books[(next() * 20.0) as usize];
                    book.began(arm, page);
                    book.ended(Some(page + Span::from_secs(1)));
                }
                pages[arm as usize] += burst as f64;
                let told = report(&books.iter().collect::<Vec<_>>());
                fooled |= told.occasions.low > 0.0 || told.occasions.high < 0.0;
                let (low, high) = anytime::difference(pages[0], pages[1]);
                fooled_by_page |= low > 0.0 || high < 0.0;
            }
            ours += u32::from(fooled);
            by_page += u32::from(fooled_by_page);
        }
        println!("of 60 runs (seeds 1 to 60) {ours} ever had a verdict, by single pages {by_page}");
        assert!(ours <= 3 && by_page > 20, "{ours} {by_page}");
    }
}
