//! Pages as a person on call gets them: which events were paged, how late, and how often for nothing.
//!
//! A flagged row inside an event finds it. One within ten minutes of an event is excused. Any other pages for nothing: a
//! new false page when the false flag before it is more than half an hour back, and again every four hours while it
//! stays on, so that an alert that is always on is not one page. All series share one threshold: nobody can tune each
//! by hindsight.

use super::{Event, median};
use homeostat::time::Span;

const WEEK: Span = Span::hours(7 * 24);
/// This long after the last false flag the next one is a new page, and after so many rows at least.
const QUIET: Span = Span::minutes(30);
const QUIET_ROWS_MIN: f64 = 3.0;
/// So close to an event a flag is no false one; one row always is.
const GRACE: Span = Span::minutes(10);
/// A false alert that stays on pages again.
const AGAIN: Span = Span::hours(4);

/// Thresholds that are tried: at ranks from the highest score down to this share of all rows, evenly on a logarithm.
const THRESHOLDS: usize = 160;
const FLAGGED_SHARE_MAX: f64 = 0.3;

/// One series after probation.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub scores: &'a [f64],
    pub events: &'a [Event],
    /// From row to row.
    pub interval: Span,
}

/// What came of one threshold over all series.
#[derive(Clone, PartialEq, Debug)]
pub struct Pages {
    /// Rows that score at least this are flagged; none where nothing may be flagged within the budget.
    pub threshold: Option<f64>,
    /// Weeks of all series together.
    pub series_weeks: f64,
    pub events: usize,
    pub false_pages: usize,
    /// From the start of each event that was found to its first flagged row, in seconds.
    pub delays: Vec<f64>,
}

impl Pages {
    pub fn found(&self) -> usize {
        self.delays.len()
    }

    /// Share of the events that were found; none where there are none.
    pub fn recall(&self) -> Option<f64> {
        (self.events > 0).then(|| self.found() as f64 / self.events as f64)
    }

    /// Share of the pages that were for an event; none where there was no page.
    pub fn precision(&self) -> Option<f64> {
        let pages = self.found() + self.false_pages;
        (pages > 0).then(|| self.found() as f64 / pages as f64)
    }

    /// False pages per series and week; none where there is no time at all.
    pub fn false_per_week(&self) -> Option<f64> {
        (self.series_weeks > 0.0).then(|| self.false_pages as f64 / self.series_weeks)
    }

    /// Half of the events that were found were found so soon, in seconds.
    pub fn delay_median(&self) -> Option<f64> {
        median(&mut self.delays.clone())
    }
}

/// The threshold that finds most events with at most so many false pages per series and week, by hindsight.
pub fn at_budget(series: &[Series<'_>], per_week: f64) -> Pages {
    let mut best = Pages {
        threshold: None,
        series_weeks: series_weeks(series),
        events: series.iter().map(|one| one.events.len()).sum(),
        false_pages: 0,
        delays: Vec::new(),
    };
    let budget = per_week * best.series_weeks;
    let mut searched = false;
    for threshold in thresholds(series) {
        let pages = at_threshold(series, threshold);
        // So far beyond it, no lower threshold comes back under the budget but one that flags nearly everything.
        if pages.false_pages as f64 > 3.0 * budget + 20.0 {
            break;
        }
        let better = !searched || (pages.events > 0 && pages.found() >= best.found());
        if pages.false_pages as f64 <= budget && better {
            best = pages;
            searched = true;
        }
    }
    best
}

/// What comes of flagging every row that scores at least so much.
pub fn at_threshold(series: &[Series<'_>], threshold: f64) -> Pages {
    let mut pages = Pages {
        threshold: Some(threshold),
        series_weeks: series_weeks(series),
        events: 0,
        false_pages: 0,
        delays: Vec::new(),
    };
    for one in series {
        flag(one, threshold, &mut pages);
    }
    pages
}

fn series_weeks(series: &[Series<'_>]) -> f64 {
    series.iter().map(|one| one.scores.len() as f64 * one.interval.secs() / WEEK.secs()).sum()
}

/// Adds what comes of one series.
fn flag(series: &Series<'_>, threshold: f64, pages: &mut Pages) {
    let Series { scores, events, interval } = *series;
    let every = interval.secs();
    let quiet = (QUIET.secs() / every).ceil().max(QUIET_ROWS_MIN) as usize;
    let grace = (GRACE.secs() / every).ceil().max(1.0) as usize;
    let again = (AGAIN.secs() / every).floor().max(1.0) as usize;
    pages.events += events.len();
    // The first event that a row is not after, without grace and with it.
    let (mut at, mut near) = (0, 0);
    let mut found = vec![false; events.len()];
    // Of false flags: the last row, and the row of the last page.
    let mut last: Option<(usize, usize)> = None;
    for row in (0..scores.len()).filter(|row| scores[*row] >= threshold) {
        while events.get(at).is_some_and(|event| event.last < row) {
            at += 1;
        }
        while events.get(near).is_some_and(|event| event.last + grace < row) {
            near += 1;
        }
        if let Some(event) = events.get(at).filter(|event| event.first <= row && !found[at]) {
            found[at] = true;
            pages.delays.push((row - event.first) as f64 * every);
        }
        let excused = events.get(near).is_some_and(|event| event.first <= row + grace);
        if !excused {
            let page = match last {
                Some((flag, page)) if row - flag <= quiet && row - page < again => page,
                _ => {
                    pages.false_pages += 1;
                    row
                }
            };
            last = Some((row, page));
        }
    }
}

/// Thresholds to try, from the highest down.
fn thresholds(series: &[Series<'_>]) -> Vec<f64> {
    let mut falling: Vec<f64> = series.iter().flat_map(|one| one.scores).copied().collect();
    falling.sort_unstable_by(|a, b| b.total_cmp(a));
    let lowest = (FLAGGED_SHARE_MAX * falling.len() as f64).max(2.0);
    let step = lowest.log10() / (THRESHOLDS - 1) as f64;
    let rank = |at: usize| match at {
        at if at == THRESHOLDS - 1 => lowest.round_ties_even(),
        at => 10.0_f64.powf(at as f64 * step).round_ties_even(),
    };
    let mut thresholds: Vec<f64> =
        (0..THRESHOLDS).filter_map(|at| falling.get(rank(at) as usize - 1)).copied().collect();
    thresholds.dedup();
    thresholds
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::minutes(1);

    /// A week at one a minute with an event from row 5000 to 5059; the rows given are flagged.
    fn week(flagged: impl Fn(usize) -> bool) -> Pages {
        let scores: Vec<f64> = (0..10_080).map(|row| f64::from(flagged(row))).collect();
        let events = [Event { first: 5000, last: 5059 }];
        at_threshold(&[Series { scores: &scores, events: &events, interval: MINUTE }], 0.5)
    }

    #[test]
    fn an_event_is_found_by_its_first_flag_inside() {
        let pages = week(|row| (5007..5020).contains(&row));
        assert_eq!((pages.series_weeks, pages.events, pages.found(), pages.false_pages), (1.0, 1, 1, 0));
        assert_eq!((pages.recall(), pages.precision(), pages.delay_median()), (Some(1.0), Some(1.0), Some(420.0)));
        // Within ten minutes of it is excused, but finds nothing; eleven minutes are a false page.
        assert_eq!((week(|row| row == 4990).found(), week(|row| row == 4990).false_pages), (0, 0));
        assert_eq!((week(|row| row == 5069).false_pages, week(|row| row == 5070).false_pages), (0, 1));
        assert_eq!(week(|row| row == 4989).false_pages, 1);
        assert_eq!(week(|_| false).precision(), None);
    }

    #[test]
    fn a_false_page_ends_with_half_an_hour_of_quiet_and_comes_again_every_four_hours() {
        assert_eq!(week(|row| row == 100 || row == 130).false_pages, 1);
        assert_eq!(week(|row| row == 100 || row == 131).false_pages, 2);
        assert_eq!(week(|row| (100..340).contains(&row)).false_pages, 1);
        assert_eq!(week(|row| (100..341).contains(&row)).false_pages, 2);
        // Always on: a page at row 0, 240 … 4800; at 5070, when the excuse ends, it is 270 rows back; then to the end.
        let always = week(|_| true);
        assert_eq!((always.false_pages, always.found(), always.delay_median()), (21 + 21, 1, Some(0.0)));
    }

    #[test]
    fn samples_an_hour_apart_count_in_rows() {
        let flagged = |rows: &[usize]| {
            let scores: Vec<f64> = (0..168).map(|row| f64::from(rows.contains(&row))).collect();
            at_threshold(&[Series { scores: &scores, events: &[], interval: Span::hours(1) }], 0.5)
        };
        // Three rows are the least quiet, and four hours are four rows.
        assert_eq!([flagged(&[10, 13]).false_pages, flagged(&[10, 14]).false_pages], [1, 2]);
        assert_eq!(flagged(&[10, 11, 12, 13, 14]).false_pages, 2);
        assert_eq!((flagged(&[10]).false_per_week(), flagged(&[10]).recall()), (Some(1.0), None));
    }

    /// Four weeks of four series: quiet noise, an event each, and three false peaks of different height.
    fn four() -> (Vec<Vec<f64>>, [Event; 1]) {
        let series = |number: usize| {
            let mut scores: Vec<f64> = super::super::random(&format!("pages {number}"), 10_080);
            for score in &mut scores[3000..3100] {
                *score = [5.0, 4.0, 3.0, 2.0][number] + *score * 0.1;
            }
            for (row, height) in [(6000, 2.5), (7000, 3.5), (8000, 4.5)] {
                scores[row] = height + number as f64 * 0.1;
            }
            scores
        };
        ((0..4).map(series).collect(), [Event { first: 3000, last: 3099 }])
    }

    #[test]
    fn the_budget_says_how_low_the_threshold_may_go() {
        let (scores, events) = four();
        let at = |per_week: f64| {
            let series: Vec<Series<'_>> =
                scores.iter().map(|scores| Series { scores, events: &events, interval: MINUTE }).collect();
            at_budget(&series, per_week)
        };
        // The false peaks of height 4.5 and more are four, one per series-week; those of 3.5 are four more.
        for (budget, found) in [(0.0, 1), (1.0, 2), (2.0, 3), (3.0, 4)] {
            let pages = at(budget);
            assert_eq!(pages.found(), found, "{budget} per week: {pages:?}");
            assert!(pages.false_per_week().is_some_and(|per_week| per_week <= budget));
        }
    }

    #[test]
    fn perfect_random_and_constant_scores() {
        let (_, events) = four();
        let of = |score: &dyn Fn(usize, usize) -> f64| {
            let scores: Vec<Vec<f64>> = (0..4).map(|n| (0..10_080).map(|row| score(n, row)).collect()).collect();
            let series: Vec<Series<'_>> =
                scores.iter().map(|scores| Series { scores, events: &events, interval: MINUTE }).collect();
            at_budget(&series, 1.0)
        };
        let perfect = of(&|_, row| f64::from((3000..3100).contains(&row)));
        assert_eq!((perfect.found(), perfect.false_pages, perfect.delay_median()), (4, 0, Some(0.0)));
        let noise: Vec<Vec<f64>> = (0..4).map(|n| super::super::random(&format!("noise {n}"), 10_080)).collect();
        let random = of(&|series, row| noise[series][row]);
        assert!(random.false_pages <= 4 && random.found() <= 1, "{random:?}");
        let constant = of(&|_, _| 7.0);
        assert_eq!((constant.found(), constant.threshold), (0, None));
    }

    #[test]
    fn only_the_order_of_scores_matters() {
        let (scores, events) = four();
        let stretched: Vec<Vec<f64>> =
            scores.iter().map(|scores| scores.iter().map(|score| score.powi(3) * 7.0 - 1.0).collect()).collect();
        let of = |scores: &[Vec<f64>]| {
            let series: Vec<Series<'_>> =
                scores.iter().map(|scores| Series { scores, events: &events, interval: MINUTE }).collect();
            Pages { threshold: None, ..at_budget(&series, 1.0) }
        };
        assert_eq!(of(&scores), of(&stretched));
    }
}
