//! What both arms did on one series, episode by episode.

use crate::feedback::Verdict;
use crate::replay::Page;
use crate::replay::score::{EARLY, LATE};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Episodes of a series that are kept unless said otherwise; what older ones came to is added up.
const EPISODES_KEPT: usize = 256;

/// Occasions of older ones whose time is kept, so that those of several series at the same time are one: three weeks of every hour.
const ALONE_KEPT: usize = 512;

/// What begins within this of a first page is one occasion: one cause often sets many series off, and who is awake is woken no
/// further. Pages themselves come in bursts of unknown size, of which no interval can be right early.
const OCCASION: Span = Span::hours(1);

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

/// An occasion on which one arm alone paged for a series.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Alone {
    at: Timestamp,
    arm: Arm,
    /// Of what mattered alone, or of all episodes.
    mattered: bool,
}

/// One series' comparison: for how long both arms were watched, and what came of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Book {
    /// Time in which both read samples.
    pub watched: Span,
    /// What episodes that are no longer kept came to, and on which occasions of them one arm alone paged, oldest first.
    settled: Counts,
    #[serde(default)]
    settled_alone: VecDeque<Alone>,
    /// How many of those there were whose time is not kept any more: of all episodes, and of those that mattered.
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
            settled_alone: VecDeque::new(),
            settled_only: [0; 2],
            settled_told_only: [0; 2],
            episodes: VecDeque::new(),
            kept: kept.max(1),
        }
    }

    /// About how many bytes it takes beside itself.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Episode>() * self.episodes.len() + size_of::<Alone>() * self.settled_alone.len()
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
        if self.episodes.len() > self.kept {
            self.settle();
        }
    }

    /// The oldest occasion is kept no longer: all of its episodes, or what is left would count as another one.
    fn settle(&mut self) {
        let Some(first) = self.episodes.front().map(|oldest| oldest.began) else { return };
        // An arm may fire in the last one.
        let closed = self.episodes.len() - 1;
        let of_occasion = self.episodes.iter().take(closed).take_while(|episode| episode.began <= first + OCCASION);
        let count = of_occasion.count();
        let occasion: Vec<Episode> = self.episodes.drain(..count).collect();
        occasion.iter().for_each(|episode| self.settled.add(episode));
        for mattered in [false, true] {
            for (at, arm) in occasions_alone(occasion.iter().filter(|episode| !mattered || episode.mattered())) {
                self.settled_alone.push_back(Alone { at, arm, mattered });
            }
        }
        while self.settled_alone.len() > ALONE_KEPT
            && let Some(oldest) = self.settled_alone.pop_front()
        {
            let only = if oldest.mattered { &mut self.settled_told_only } else { &mut self.settled_only };
            only[oldest.arm as usize] += 1;
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

    /// When the occasions began on which one arm alone paged for this series; of all episodes, or of those that mattered.
    fn alone(&self, mattered: bool) -> impl Iterator<Item = (Timestamp, Arm)> {
        let settled =
            self.settled_alone.iter().filter(move |one| one.mattered == mattered).map(|one| (one.at, one.arm));
        settled.chain(occasions_alone(self.episodes.iter().filter(move |one| !mattered || one.mattered())))
    }

    /// The same of which it is not known any more when.
    fn alone_before(&self, mattered: bool) -> [u64; 2] {
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

/// Of one series' episodes, when the occasions began on which one arm alone paged. What both page for within the hour says nothing of
/// which is better.
fn occasions_alone<'a>(episodes: impl Iterator<Item = &'a Episode>) -> Vec<(Timestamp, Arm)> {
    let mut occasions: Vec<(Timestamp, [bool; 2])> = Vec::new();
    for episode in episodes {
        let told = Arm::ALL.map(|arm| episode.told_by(arm));
        match occasions.last_mut().filter(|(began, _)| episode.began <= *began + OCCASION) {
            Some((_, both)) => *both = [both[0] || told[0], both[1] || told[1]],
            None => occasions.push((episode.began, told)),
        }
    }
    let alone = |(at, told): (Timestamp, [bool; 2])| match told {
        [true, false] => Some((at, Arm::Learned)),
        [false, true] => Some((at, Arm::Static)),
        _ => None,
    };
    occasions.into_iter().filter_map(alone).collect()
}

/// On how many occasions one arm alone paged, by [`Arm`]; of all, or of what mattered. Whether it was alone is asked series by series:
/// one that both page for all the time says nothing of the others. Those of several series within an hour are one.
pub(super) fn alone(books: &[&Book], mattered: bool) -> [u64; 2] {
    let mut count = [0, 0];
    let mut began: [Vec<Timestamp>; 2] = [Vec::new(), Vec::new()];
    for book in books {
        let before = book.alone_before(mattered);
        (count[0], count[1]) = (count[0] + before[0], count[1] + before[1]);
        book.alone(mattered).for_each(|(at, arm)| began[arm as usize].push(at));
    }
    for (count, mut began) in count.iter_mut().zip(began) {
        began.sort_unstable();
        let mut until = None;
        for at in began {
            if until.is_none_or(|until| at > until) {
                *count += 1;
                until = Some(at + OCCASION);
            }
        }
    }
    count
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
        assert_eq!((book.counts().pages, alone(&[&book], false)), ([400, 0], [400, 0]));
        // One whose occasions are more than are kept in any form.
        let mut book = Book::keeping(64);
        for n in 0..1000 {
            book.began(Arm::Static, minute(100 * n));
            book.ended(Some(minute(100 * n + 1)));
        }
        assert_eq!((book.episodes().count(), book.settled_alone.len()), (64, ALONE_KEPT));
        assert_eq!(alone(&[&book], false), [0, 1000]);
    }

    /// A page of one minute every twenty, for so many hours, that both begin or one of them does.
    fn noisy(hours: i64, arms: &[Arm], kept: usize) -> Book {
        let mut book = Book { watched: Span::hours(168), ..Book::keeping(kept) };
        for n in 0..3 * hours {
            arms.iter().for_each(|arm| book.began(*arm, minute(20 * n)));
            book.ended(Some(minute(20 * n + 1)));
        }
        book
    }

    #[test]
    fn a_noisy_series_hides_its_own_pages_and_no_others() {
        let noisy = noisy(48, &Arm::ALL, 256);
        assert_eq!(alone(&[&noisy], false), [0, 0]);
        // New pages of another, every six hours, all within the hour of one of those.
        let pages: Vec<Page> = (0..8).map(|n| page(360 * n + 7, Some(360 * n + 9))).collect();
        let quiet = Book::of_pages(&pages, &[], Span::hours(48));
        assert_eq!(alone(&[&noisy, &quiet], false), [8, 0]);
        // What the one before alone paged for elsewhere is held against them, and does not hide them.
        let before = Book::of_pages(&[], &[page(10, Some(12))], Span::hours(48));
        assert_eq!(alone(&[&noisy, &quiet, &before], false), [8, 1]);
    }

    #[test]
    fn what_is_kept_no_longer_counts_by_the_hour_as_well() {
        // A page each twenty minutes, of all series together: four begin within the hour of the first, the fifth begins another
        // occasion.
        let all: Vec<Book> = (0..4).map(|_| noisy(96, &[Arm::Learned], usize::MAX)).collect();
        let some: Vec<Book> = (0..4).map(|_| noisy(96, &[Arm::Learned], 64)).collect();
        let count = |books: &[Book]| alone(&books.iter().collect::<Vec<_>>(), false);
        assert_eq!((count(&some), count(&all)), ([72, 0], [72, 0]));
        assert_eq!(some[0].counts(), all[0].counts());
        assert!(some[0].episodes().count() <= 64);
    }
}
