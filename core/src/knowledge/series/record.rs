//! What becomes of a sample: let in or turned away, judged, and only then learned from.

use super::{Noticed, Series};
use crate::analyze::learn::alert_sigmas;
use crate::analyze::strategy::{Asked, Baseline, Detector, DetectorState, Methods};
use crate::knowledge::door::{Admission, CONFIRM_SAMPLES, Door, Row, counts, history_turned_away, late, turned_away};
use crate::knowledge::fence::Fence;
use crate::knowledge::histogram::Histograms;
use crate::knowledge::window::Tier;
use crate::monitor::{Fate, Fates, Judged};
use crate::stats::Scratch;
use crate::time::{Span, Timestamp};

/// Samples between two looks at whether a series without a detector has become one to watch.
const STARTED_EVERY: u64 = 32;

/// What a detector says: bounds that the engine makes alerts of, or alerts too.
enum Own {
    Bounds(Judged),
    Alerts(Judged),
}

impl Series {
    /// Reads from everywhere that [`record`](Series::record) will: see [`Knowledge::read_ahead`](super::Knowledge::read_ahead).
    #[inline]
    pub(crate) fn touched(&self) -> u64 {
        let newest = self.window.newest().map_or(0, |(at, value)| at.millis() as u64 ^ value.to_bits());
        let upper = self.fence.map_or(0, |fence| fence.upper.to_bits());
        let own = self.tally.judged ^ self.fates.of(Fate::Admitted) ^ self.distinct.count() as u64;
        let detector = self.detector.as_ref().map_or(0, DetectorState::touched);
        newest ^ upper ^ own ^ self.present.until as u64 ^ self.asks.levels.outside.to_bits() ^ detector
    }

    /// One sample: what becomes of it, what is said of it, and only then is it learned from. What is noticed is laid down where the
    /// caller wants it, which was [`nothing`](Noticed::nothing): to copy it costs a tenth of all that a sample does.
    #[inline]
    pub(crate) fn record(
        &mut self,
        at: Timestamp,
        value: f64,
        now: Timestamp,
        admission: &Admission,
        methods: &Methods,
        noticed: &mut Noticed,
    ) {
        noticed.fate = self.enter(at, value, now, admission, methods.detector_of(self.detects), noticed);
        self.fates.add(noticed.fate);
        if noticed.fate == Fate::Stale {
            self.end(noticed);
        } else {
            self.last_seen = now;
        }
    }

    /// The series ends here, as its source says: so does an alert, and a rate begins anew when it comes back.
    fn end(&mut self, noticed: &mut Noticed) {
        if let Door::Rate { last } = &mut self.door {
            *last = None;
        }
        if let Some((_, newest)) = self.window.newest().filter(|_| self.alert_since.is_some()) {
            (noticed.end, noticed.value) = (true, newest);
        }
    }

    #[inline]
    fn enter(
        &mut self,
        at: Timestamp,
        value: f64,
        now: Timestamp,
        admission: &Admission,
        detector: Option<&dyn Detector>,
        noticed: &mut Noticed,
    ) -> Fate {
        if let Some(fate) = turned_away(at, value, now, admission) {
            return fate;
        }
        match &mut self.door {
            Door::Open => self.admit(at, value, admission, detector, noticed),
            Door::Bucket => Fate::Folded,
            Door::Rate { last } => {
                let Some((last_at, last_value)) = *last else {
                    *last = Some((at, value));
                    return Fate::Folded;
                };
                if at <= last_at {
                    return late(at, value, last_at, last_value);
                }
                *last = Some((at, value));
                // A counter that fell was reset: what it counted in between is not known.
                if value < last_value {
                    return Fate::Folded;
                }
                let rate = (value - last_value) / at.since(last_at).secs();
                if rate.is_finite() { self.admit(at, rate, admission, detector, noticed) } else { Fate::NotFinite }
            }
            Door::Undecided(held) => {
                if let Some((last_at, last_value)) = held.last()
                    && at <= *last_at
                {
                    return late(at, value, *last_at, *last_value);
                }
                held.push((at, value));
                if held.len() < CONFIRM_SAMPLES {
                    return Fate::Folded;
                }
                let held = std::mem::take(held);
                self.door = if counts(&held) { Door::Rate { last: None } } else { Door::Open };
                // The samples held so far were counted as folded; now they are read in the way that was found.
                let mut fate = Fate::Folded;
                for (at, value) in held {
                    *noticed = Noticed::nothing();
                    fate = self.enter(at, value, now, admission, detector, noticed);
                }
                fate
            }
        }
    }

    /// One sample of a bucket, which its histogram takes. Without `admission` it is history, of whatever age.
    pub(crate) fn fold(
        &mut self,
        at: Timestamp,
        value: f64,
        now: Timestamp,
        admission: Option<&Admission>,
        histograms: &mut Histograms,
    ) -> Fate {
        self.last_seen = now;
        let refused = match admission {
            Some(admission) => turned_away(at, value, now, admission),
            None => history_turned_away(at, value, now),
        };
        let fate = match (refused, self.part.as_deref()) {
            (Some(fate), _) => fate,
            (None, Some(part)) => histograms.take(*part, at, value),
            // Its limit is no number: it belongs to no histogram, and is held back all the same.
            (None, None) => Fate::Folded,
        };
        self.fates.add(fate);
        fate
    }

    /// Judges, then remembers.
    #[inline]
    fn admit(
        &mut self,
        at: Timestamp,
        value: f64,
        admission: &Admission,
        detector: Option<&dyn Detector>,
        noticed: &mut Noticed,
    ) -> Fate {
        if let Some((newest_at, newest_value)) = self.window.newest()
            && at <= newest_at
        {
            return late(at, value, newest_at, newest_value);
        }
        noticed.value = value;
        self.turn_to(at);
        let own = self.detect(at, value, admission, detector);
        self.judge(at, value, own, noticed);
        if self.versus.is_some() {
            self.compare(at, noticed, admission);
        }
        if !self.releases.is_empty() {
            self.try_out(at, noticed.value);
        }
        self.alerts.seen(at);
        self.distinct.see(value);
        self.window.push(at, value, admission.window_len, admission.window_age, admission.min_data_points);
        if self.detector.is_none()
            && let Some(detector) = detector.filter(|detector| detector.alerts())
            && self.admitted.is_multiple_of(STARTED_EVERY)
            && self.tier() != Tier::Bounds
            && self.watched()
        {
            self.start(detector);
        }
        self.admitted += 1;
        noticed.ripe = self.admitted == admission.min_data_points as u64 && self.learned.is_none();
        Fate::Admitted
    }

    /// Lets the static bounds read the sample too, where the series' own judge may page: neither is asked in maintenance, nor
    /// before the series is known for long enough.
    #[cold]
    fn compare(&mut self, at: Timestamp, noticed: &Noticed, admission: &Admission) {
        let judged = &noticed.judged;
        let young = self.window.since().is_none_or(|since| at.since(since) < admission.young_under);
        if young || self.present.moment.silent || (judged.lower.is_none() && judged.upper.is_none()) {
            return;
        }
        if let Some(live) = &mut self.versus {
            live.see(at, noticed.value, judged.alert);
        }
    }

    /// What a detector says of the sample before it learns from it.
    #[inline]
    fn detect(
        &mut self,
        at: Timestamp,
        value: f64,
        admission: &Admission,
        detector: Option<&dyn Detector>,
    ) -> Option<Own> {
        let detector = detector?;
        let seen_for = self.window.since().map_or(Span::ZERO, |since| at.since(since));
        let moment = self.present.moment;
        let bounds = !detector.alerts() || self.in_force().is_none();
        let asked = Asked { young: seen_for < admission.young_under, moment, bounds, ..self.asked() };
        let state = self.detector.as_mut()?;
        let judged = match moment.masked {
            false => detector.step(state, at, value, &asked),
            true => detector.step_aside(state, at, value, &asked),
        };
        Some(if detector.alerts() { Own::Alerts(judged) } else { Own::Bounds(judged) })
    }

    /// Begins with a detector that alerts by itself, from what the window holds of the present level.
    pub(super) fn start(&mut self, detector: &dyn Detector) {
        if self.is_in_trouble() {
            return;
        }
        let (mut at, mut values, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
        self.window.copy_into(&mut at, &mut values);
        self.trouble.leave_out_all(&mut at, &mut values);
        let before = self.level_since.map_or(0, |since| at.partition_point(|at| *at < since.millis()));
        at.drain(..before);
        values.drain(..before);
        self.leave_out(1, &mut at, &mut values);
        if values.is_empty() {
            self.detector = None;
            return;
        }
        let prior = self.inherited.take();
        let baseline = Baseline::sorted(self.kind(), &at, &values, &mut scratch).reckoned(&self.settings.reckoning);
        self.detector = Some(detector.start(&baseline, prior.as_deref()));
    }

    /// Bounds are those in force; a detector's where it tracks, or where there are none. Alerts are a detector's own, or what
    /// lies beyond the alert level. In maintenance none is, and nothing is counted.
    fn judge(&mut self, at: Timestamp, value: f64, own: Option<Own>, noticed: &mut Noticed) {
        let moment = self.present.moment;
        let fence = self.fence_at(at, moment.holiday);
        let judged = &mut noticed.judged;
        let holds = match own {
            Some(Own::Alerts(said)) => {
                *judged = said;
                if let Some(fence) = fence {
                    (judged.lower, judged.upper) = fence.bounds();
                    judged.breach = fence.is_breached(value);
                }
                said.alert
            }
            own => {
                let Some(mut fence) = fence else { return };
                if let Some(Own::Bounds(Judged { lower: Some(lower), upper: Some(upper), .. })) = own {
                    let sigmas = alert_sigmas(self.sensitivity, self.settings.sensitivity);
                    fence = Fence::tracking(lower, upper, self.sensitivity, sigmas);
                }
                fence.judge(value, judged);
                if moment.silent {
                    noticed.end = self.alert_since.is_some();
                    return;
                }
                judged.alert_score = self.alarm.hear(judged.score);
                self.alarm.count(fence.side(value));
                if self.alert_since.is_some() { !self.alarm.ends() } else { self.alarm.begins() }
            }
        };
        if moment.silent {
            judged.alert = false;
            noticed.end = self.alert_since.is_some();
            return;
        }
        if judged.lower.is_some() || judged.upper.is_some() {
            self.tally.judged += 1;
        }
        if judged.breach {
            self.tally.breached += 1;
            self.last_breach = Some((at, value));
        }
        judged.alert = holds;
        noticed.onset = holds && self.alert_since.is_none();
        noticed.end = !holds && self.alert_since.is_some();
    }

    /// Takes samples older than the oldest it holds, or newer than the newest, without judging them; not those from ahead of
    /// `now`. `history` is in order of time. Returns what became of them.
    pub(crate) fn backfill(
        &mut self,
        history: &[(Timestamp, f64)],
        now: Timestamp,
        admission: &Admission,
        detector: Option<&dyn Detector>,
    ) -> Fates {
        let mut fates = Fates::default();
        let mut rows: Vec<Row> = Vec::with_capacity(history.len());
        for &(at, value) in history {
            match (history_turned_away(at, value, now), rows.last()) {
                (Some(fate), _) => fates.add(fate),
                (None, Some(last)) if at <= last.at => fates.add(late(at, value, last.at, last.value)),
                (None, _) => rows.push(Row { at, value, told: false }),
            }
        }
        let values = match self.door.confirmed(rows) {
            Ok(rows) => self.door.rates(rows, &mut fates),
            Err(held) => {
                (0..held).for_each(|_| fates.add(Fate::Folded));
                Vec::new()
            }
        };
        let oldest = self.window.oldest().map(|(at, _)| at);
        let newest = self.window.newest().map(|(at, _)| at);
        let (older, rest): (Vec<Row>, Vec<Row>) =
            values.into_iter().partition(|row| oldest.is_some_and(|oldest| row.at < oldest));
        let pairs: Vec<(Timestamp, f64)> = older.iter().map(|row| (row.at, row.value)).collect();
        let fitted = self.window.push_front(&pairs, admission.window_len, admission.window_age);
        let mut tell = |row: &Row, fate| {
            if !row.told {
                fates.add(fate);
            }
        };
        // The newest of the older ones fit, if not all do.
        let (too_old, fit) = older.split_at(older.len() - fitted);
        too_old.iter().for_each(|row| tell(row, Fate::TooOld));
        fit.iter().for_each(|row| tell(row, Fate::Admitted));
        self.admitted += fit.len() as u64;
        for row in &rest {
            if newest.is_some_and(|newest| row.at <= newest) {
                tell(row, Fate::OutOfOrder);
                continue;
            }
            self.distinct.see(row.value);
            self.window.push(row.at, row.value, admission.window_len, admission.window_age, admission.min_data_points);
            self.admitted += 1;
            tell(row, Fate::Admitted);
        }
        older.iter().for_each(|row| self.distinct.see(row.value));
        // What it holds now is not what a detector saw.
        if let Some(detector) = detector.filter(|detector| detector.alerts())
            && !self.window.is_empty()
            && self.tier() != Tier::Bounds
            && self.watched()
        {
            self.start(detector);
        }
        self.fates += &fates;
        fates
    }
}
