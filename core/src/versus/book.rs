//! What both arms did on one series, episode by episode.

use crate::feedback::Verdict;
use crate::replay::Page;
use crate::replay::score::{EARLY, LATE};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Episodes of a series that are kept unless said otherwise; what older ones came to is added up.
const EPISODES_KEPT: usize = 256;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    Learned,
    Static,
}

impl Arm {
    pub const ALL: [Arm; 2] = [Arm::Learned, Arm::Static];

    pub const fn as_str(self) -> &'static str {
        match self {
            Arm::Learned => "learned",
            Arm::Static => "static",
        }
    }

    pub const fn other(self) -> Arm {
        match self {
            Arm::Learned => Arm::Static,
            Arm::Static => Arm::Learned,
        }
    }
}

/// A time in which either arm paged, or should have: from the first page until neither fires, and what begins within ten
/// minutes after that.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Episode {
    pub began: Timestamp,
    /// None: one of them fires.
    pub ended: Option<Timestamp>,
    /// How often each began to fire, and when it did first; by [`Arm`].
    pub pages: [u32; 2],
    pub first: [Option<Timestamp>; 2],
    pub verdict: Option<Verdict>,
}

impl Episode {
    fn new(began: Timestamp, ended: Option<Timestamp>) -> Episode {
        Episode { began, ended, pages: [0; 2], first: [None; 2], verdict: None }
    }

    pub(crate) fn page(&mut self, arm: Arm, at: Timestamp) {
        self.pages[arm as usize] += 1;
        let first = &mut self.first[arm as usize];
        *first = Some(first.map_or(at, |before| before.min(at)));
    }

    fn take_in(&mut self, other: &Episode) {
        self.began = self.began.min(other.began);
        self.ended = self.ended.zip(other.ended).map(|(one, other)| one.max(other));
        for arm in Arm::ALL.map(|arm| arm as usize) {
            self.pages[arm] += other.pages[arm];
            self.first[arm] = self.first[arm].into_iter().chain(other.first[arm]).min();
        }
        self.verdict = self.verdict.or(other.verdict);
    }

    /// Whether somebody said that it mattered.
    pub fn mattered(&self) -> bool {
        matches!(self.verdict, Some(Verdict::True | Verdict::Missed))
    }

    /// Whether this arm paged in it.
    pub fn told_by(&self, arm: Arm) -> bool {
        self.pages[arm as usize] > 0
    }

    /// Whether it mattered and this arm said nothing.
    pub fn missed_by(&self, arm: Arm) -> bool {
        self.mattered() && !self.told_by(arm)
    }

    /// By how much later than the static arm the learned one was, in seconds, where both paged for something that nobody
    /// called false.
    pub fn delay_s(&self) -> Option<f64> {
        let [Some(learned), Some(fixed)] = self.first else { return None };
        (self.verdict != Some(Verdict::False)).then(|| (learned.millis() - fixed.millis()) as f64 / 1000.0)
    }

    /// Whether something that lasted from `from` to `until` is about this.
    fn is_about(&self, from: Timestamp, until: Timestamp) -> bool {
        until + EARLY >= self.began && self.ended.is_none_or(|ended| from <= ended + LATE)
    }
}

/// What episodes came to; each pair by [`Arm`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub pages: [u64; 2],
    pub pages_false: [u64; 2],
    /// Episodes that mattered, and those that an arm said nothing in.
    pub mattered: u64,
    pub missed: [u64; 2],
}

impl Counts {
    pub fn add(&mut self, episode: &Episode) {
        self.mattered += u64::from(episode.mattered());
        for arm in Arm::ALL {
            let of = arm as usize;
            let pages = u64::from(episode.pages[of]);
            self.pages[of] += pages;
            self.pages_false[of] += if episode.verdict == Some(Verdict::False) { pages } else { 0 };
            self.missed[of] += u64::from(episode.missed_by(arm));
        }
    }

    pub fn sum(&mut self, other: &Counts) {
        self.mattered += other.mattered;
        for of in Arm::ALL.map(|arm| arm as usize) {
            self.pages[of] += other.pages[of];
            self.pages_false[of] += other.pages_false[of];
            self.missed[of] += other.missed[of];
        }
    }
}

/// One series' comparison: for how long both arms were watched, and what came of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Book {
    /// Time in which both read samples.
    pub watched: Span,
    /// What episodes that are no longer kept came to, and how many of them one arm alone told of: of all, and of those that
    /// mattered.
    settled: Counts,
    settled_only: [u64; 2],
    settled_told_only: [u64; 2],
    /// The latest, oldest first; of the last one an arm may fire.
    episodes: VecDeque<Episode>,
    /// How many of them are kept.
    kept: usize,
}

impl Default for Book {
    fn default() -> Book {
        Book::keeping(EPISODES_KEPT)
    }
}

impl Book {
    /// An empty one that keeps so many episodes, at least one.
    pub fn keeping(kept: usize) -> Book {
        Book {
            watched: Span::ZERO,
            settled: Counts::default(),
            settled_only: [0; 2],
            settled_told_only: [0; 2],
            episodes: VecDeque::new(),
            kept: kept.max(1),
        }
    }

    /// Pages of a rule as it stands (static) and of the rule that is to take its place (learned), of one label set or of
    /// several that are one thing, over a time that lasted `watched`.
    pub fn of_pages(learned: &[Page], fixed: &[Page], watched: Span) -> Book {
        let mut pages: Vec<(Arm, &Page)> = learned.iter().map(|page| (Arm::Learned, page)).collect();
        pages.extend(fixed.iter().map(|page| (Arm::Static, page)));
        pages.sort_by_key(|(_, page)| page.began);
        let mut book = Book { watched, ..Book::keeping(usize::MAX) };
        for (arm, page) in pages {
            let until = match book.episodes.back() {
                Some(open) if open.ended.is_none_or(|ended| page.began <= ended + LATE) => {
                    open.ended.zip(page.ended).map(|(one, other)| one.max(other))
                }
                _ => page.ended,
            };
            book.began(arm, page.began);
            book.ended(until);
        }
        book
    }

    /// An arm begins to fire.
    pub(crate) fn began(&mut self, arm: Arm, at: Timestamp) {
        let goes_on = |last: &&mut Episode| last.ended.is_none_or(|ended| at <= ended + LATE);
        match self.episodes.back_mut().filter(goes_on) {
            Some(last) => {
                last.ended = None;
                last.page(arm, at);
            }
            None => {
                let mut episode = Episode::new(at, None);
                episode.page(arm, at);
                self.keep(self.episodes.len(), episode);
            }
        }
    }

    /// Neither fires from then on; none: one still does.
    pub(crate) fn ended(&mut self, at: Option<Timestamp>) {
        if let Some(last) = self.episodes.back_mut() {
            last.ended = at;
        }
    }

    fn keep(&mut self, at: usize, episode: Episode) {
        self.episodes.insert(at, episode);
        if self.episodes.len() > self.kept
            && let Some(oldest) = self.episodes.pop_front()
        {
            self.settled.add(&oldest);
            for arm in Arm::ALL.into_iter().filter(|arm| oldest.told_by(*arm) && !oldest.told_by(arm.other())) {
                self.settled_only[arm as usize] += 1;
                self.settled_told_only[arm as usize] += u64::from(oldest.mattered());
            }
        }
    }

    /// What a person said of a time; `from` and `until` may be the same. What mattered and lies in several episodes is one.
    /// Said of a time in which neither arm paged, `missed` is an episode that both missed; the rest is about nothing here.
    pub fn hear(&mut self, verdict: Verdict, from: Timestamp, until: Timestamp) {
        let about: Vec<usize> =
            (0..self.episodes.len()).filter(|at| self.episodes[*at].is_about(from, until)).collect();
        match (verdict, about.as_slice()) {
            (Verdict::Missed, []) => {
                let mut episode = Episode::new(from, Some(until));
                episode.verdict = Some(verdict);
                let place = self.episodes.partition_point(|other| other.began <= from);
                self.keep(place, episode);
            }
            (_, []) => {}
            (Verdict::False, about) => about.iter().for_each(|at| self.episodes[*at].verdict = Some(verdict)),
            (_, [first, rest @ ..]) => {
                for at in rest.iter().rev() {
                    if let Some(other) = self.episodes.remove(*at) {
                        self.episodes[*first].take_in(&other);
                    }
                }
                self.episodes[*first].verdict = Some(verdict);
            }
        }
    }

    /// Whether something that lasted from `from` to `until` is about any of the episodes that are kept.
    pub fn is_about(&self, from: Timestamp, until: Timestamp) -> bool {
        self.episodes.iter().any(|episode| episode.is_about(from, until))
    }

    /// What nobody said anything about did not matter: where everything that did is known.
    pub fn rest_is_false(&mut self) {
        for episode in &mut self.episodes {
            episode.verdict.get_or_insert(Verdict::False);
        }
    }

    /// Of episodes that are no longer kept, how many one arm alone told of, by [`Arm`]; of all, or of those that mattered.
    pub(super) fn settled_only(&self, mattered: bool) -> [u64; 2] {
        if mattered { self.settled_told_only } else { self.settled_only }
    }

    /// The latest episodes, oldest first.
    pub fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.episodes.iter()
    }

    /// What all episodes came to.
    pub fn counts(&self) -> Counts {
        let mut counts = self.settled;
        self.episodes.iter().for_each(|episode| counts.add(episode));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Labels;

    fn minute(minutes: i64) -> Timestamp {
        Timestamp::from_secs(60 * minutes)
    }

    fn page(began: i64, ended: Option<i64>) -> Page {
        let began = minute(began);
        Page { labels: Labels::default(), pending_since: began, began, ended: ended.map(minute) }
    }

    #[test]
    fn what_both_page_for_is_one_episode_and_says_nothing_of_which_is_better() {
        // Together; the static one flaps twice within ten minutes; one alone each.
        let learned = [page(10, Some(20)), page(500, Some(505))];
        let fixed = [page(14, Some(18)), page(25, Some(40)), page(45, Some(50)), page(900, Some(901))];
        let book = Book::of_pages(&learned, &fixed, Span::hours(168));
        let counts = book.counts();
        assert_eq!(book.episodes().count(), 3);
        assert_eq!(counts.pages, [2, 4]);
        let delays: Vec<f64> = book.episodes().filter_map(Episode::delay_s).collect();
        assert_eq!(delays, [-240.0], "the learned one was four minutes earlier");
        assert_eq!(counts.mattered, 0, "nobody said anything");
    }

    #[test]
    fn verdicts_say_what_was_missed_and_by_whom() {
        let learned = [page(10, Some(20)), page(500, Some(505))];
        let fixed = [page(12, Some(18)), page(900, Some(901))];
        let mut book = Book::of_pages(&learned, &fixed, Span::hours(168));
        book.hear(Verdict::True, minute(15), minute(15));
        book.hear(Verdict::True, minute(502), minute(502));
        book.hear(Verdict::Missed, minute(903), minute(903));
        book.hear(Verdict::Missed, minute(700), minute(720));
        book.hear(Verdict::Missed, minute(705), minute(705));
        book.hear(Verdict::False, minute(3000), minute(3000));
        let counts = book.counts();
        assert_eq!((counts.mattered, counts.missed), (4, [2, 2]), "said twice, counted once");
        book.hear(Verdict::False, minute(502), minute(502));
        assert_eq!((book.counts().pages_false, book.counts().mattered), ([1, 0], 3));
        // An incident in which both paged, far from each other, was missed by neither.
        let mut book = Book::of_pages(&[page(10, Some(20))], &[page(80, Some(90))], Span::hours(168));
        book.hear(Verdict::True, minute(0), minute(100));
        assert_eq!((book.counts().mattered, book.counts().missed, book.episodes().count()), (1, [0, 0], 1));
    }

    #[test]
    fn a_book_has_an_end_and_forgets_no_count() {
        let pages: Vec<Page> = (0..400).map(|n| page(100 * n, Some(100 * n + 1))).collect();
        let whole = Book::of_pages(&pages, &[], Span::hours(168));
        let mut book = Book::default();
        for page in &pages {
            book.began(Arm::Learned, page.began);
            book.ended(page.ended);
        }
        assert_eq!((whole.episodes().count(), book.episodes().count()), (400, EPISODES_KEPT));
        assert_eq!(whole.counts(), book.counts());
        assert_eq!((book.counts().pages, book.settled_only(false)), ([400, 0], [144, 0]));
    }
}
