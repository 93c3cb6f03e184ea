//! Learned against static bounds, of all series that have such. Nothing where none has.

use super::Families;
use homeostat::versus::{ArmReport, Difference, Report, Verdict};

impl Families {
    pub(super) fn ab(&mut self, report: Option<&Report>) {
        let Some(report) = report else { return };
        self.gauge("homeostat_ab_series", "Series whose learned bounds are compared with static ones.")
            .put([], report.series as f64);
        self.gauge("homeostat_ab_weeks", "For how long they were compared, on average.").put([], report.weeks);
        type Of = fn(&ArmReport) -> f64;
        let arms: [(&str, &str, Of); 2] = [
            (
                "homeostat_ab_pages_per_week",
                "Pages a week of those series together, by what gave or would have given them.",
                |arm| arm.pages_per_week,
            ),
            ("homeostat_ab_missed", "Episodes that mattered, by verdicts, and of which it said nothing.", |arm| {
                arm.missed as f64
            }),
        ];
        for (name, help, of) in arms {
            let family = self.gauge(name, help);
            family.put([("arm", "learned")], of(&report.learned));
            family.put([("arm", "static")], of(&report.fixed));
        }
        self.gauge("homeostat_ab_mattered", "Episodes of those series that mattered, by verdicts.")
            .put([], report.mattered as f64);
        let differences: [(&str, &str, &Difference); 2] = [
            (
                "homeostat_ab_occasions_difference_per_week",
                "Occasions a week on which learned alone paged, less those of static alone, with the ends of its 95 % interval.",
                &report.occasions,
            ),
            (
                "homeostat_ab_misses_difference_per_week",
                "The same of occasions that mattered and were missed by one alone.",
                &report.misses,
            ),
        ];
        for (name, help, difference) in differences {
            let family = self.gauge(name, help);
            family.put([("bound", "estimate")], difference.per_week);
            family.put([("bound", "low")], difference.low);
            family.put([("bound", "high")], difference.high);
        }
        let delay = self.gauge(
            "homeostat_ab_delay_seconds",
            "By how much later learned was than static, in the median, with the ends of its interval; absent while unknown.",
        );
        let bounds = [("estimate", report.delay.median_s), ("low", report.delay.low_s), ("high", report.delay.high_s)];
        for (bound, value) in bounds {
            if let Some(value) = value {
                delay.put([("bound", bound)], value);
            }
        }
        let verdicts =
            self.gauge("homeostat_ab_verdict", "1 for what is said of learned against static, 0 for the rest.");
        let of = [
            ("all", report.verdict),
            ("occasions", report.occasions.verdict),
            ("misses", report.misses.verdict),
            ("delay", report.delay.verdict),
        ];
        for (of, said) in of {
            for verdict in Verdict::ALL {
                verdicts.put([("of", of), ("verdict", verdict.as_str())], f64::from(u8::from(verdict == said)));
            }
        }
    }
}
