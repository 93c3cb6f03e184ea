use super::*;
use crate::varint;
use std::collections::VecDeque;

fn filled(count: i64) -> Window {
    let mut window = Window::default();
    for n in 0..count {
        window.push(Timestamp::from_secs(n * 60), n as f64 * 0.1 - 3.0, 1000, Span::hours(24), 10);
    }
    window
}

#[test]
fn the_oldest_falls_out_by_count_and_by_age_but_never_under_the_minimum() {
    let mut window = filled(1500);
    assert_eq!(window.len(), 1000);
    assert_eq!(window.oldest().map(|(at, _)| at), Some(Timestamp::from_secs(500 * 60)));
    window.push(Timestamp::from_secs(10_000_000), 1.0, 1000, Span::hours(1), 10);
    assert_eq!(window.len(), 10, "age alone leaves the minimum");
}

#[test]
fn a_stored_window_comes_back_the_same_and_damage_is_noticed() {
    let window = filled(300);
    let mut bytes = rmp_serde::to_vec_named(&window).expect("encodes");
    assert!(bytes.len() < 300 * 12);
    assert_eq!(rmp_serde::from_slice::<Window>(&bytes).expect("decodes"), window);
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    assert!(rmp_serde::from_slice::<Window>(&bytes).is_err());
}

#[test]
fn a_window_of_the_form_before_blocks_comes_back() {
    let (mut bytes, mut before) = (Vec::new(), 0);
    for n in 0..1000_i64 {
        varint::put((n * 60_000 - before) as u64, &mut bytes);
        before = n * 60_000;
    }
    let times = bytes.len() as u64;
    (0..1000).for_each(|n| bytes.extend_from_slice(&(f64::from(n) * 0.1 - 3.0).to_le_bytes()));
    let stored = rmp_serde::to_vec_named(&(times, serde_bytes::Bytes::new(&bytes))).expect("encodes");
    let window: Window = rmp_serde::from_slice(&stored).expect("decodes");
    assert_eq!(window, filled(1000));
    assert!(window.bytes() < 1000 * 9, "{}", window.bytes());
}

/// A window as plainly as it can be said.
#[derive(Default)]
struct Plain(VecDeque<(i64, f64)>);

impl Plain {
    fn push(&mut self, at: i64, value: f64, len_max: usize, oldest: i64, len_min: usize) {
        self.0.push_back((at, value));
        while self.0.len() > len_max || (self.0.len() > len_min && self.0.front().is_some_and(|(at, _)| *at < oldest)) {
            self.0.pop_front();
        }
    }
}

fn encoded(window: &Window) -> Vec<u8> {
    rmp_serde::to_vec_named(window).expect("encodes")
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn a_window_gives_what_it_took_whatever_it_is_held_in(
        steps in proptest::collection::vec((1..200_000_i64, -1000..1000_i32), 1..1500),
        len_max in 20..1200_usize,
        restored_at in 0..1500_usize,
        skip in 0..300_usize,
    ) {
        let age = Span::hours(10);
        let (mut window, mut plain, mut restored, mut at) = (Window::default(), Plain::default(), None, 0);
        for (n, (step, value)) in steps.into_iter().enumerate() {
            at += step;
            let value = f64::from(value) / 8.0;
            window.push(Timestamp::from_millis(at), value, len_max, age, 10);
            plain.push(at, value, len_max, i64::MIN, 10);
            if let Some(other) = &mut restored {
                Window::push(other, Timestamp::from_millis(at), value, len_max, age, 10);
            } else if n == restored_at {
                restored = Some(rmp_serde::from_slice::<Window>(&encoded(&window)).expect("decodes"));
            }
        }
        let late = (age.millis() + age.millis() / LATE) as i64;
        let held: Vec<(i64, f64)> = window.iter().map(|(at, value)| (at.millis(), value)).collect();
        // The newest of what came, as many as there may be.
        let all: Vec<(i64, f64)> = plain.0.iter().copied().collect();
        proptest::prop_assert!(all.ends_with(&held) && window.len() == held.len() && held.len() <= len_max);
        let young = all.iter().filter(|(then, _)| *then >= at - age.millis() as i64).count();
        proptest::prop_assert!(held.len() >= young.max(10.min(all.len())));
        proptest::prop_assert!(held.len() <= 10 || held[0].0 >= at - late - 200_000);
        proptest::prop_assert_eq!(window.oldest().map(|(at, value)| (at.millis(), value)), held.first().copied());
        proptest::prop_assert_eq!(window.newest().map(|(at, value)| (at.millis(), value)), held.last().copied());
        let backwards: Vec<(i64, f64)> = window.iter().rev().map(|(at, value)| (at.millis(), value)).collect();
        proptest::prop_assert!(backwards.iter().rev().eq(held.iter()));
        let last: Vec<(i64, f64)> = window.last(skip).map(|(at, value)| (at.millis(), value)).collect();
        proptest::prop_assert_eq!(&held[held.len() - skip.min(held.len())..], &last[..]);
        // From both ends in turn.
        let (mut iter, mut low, mut high) = (window.iter(), 0, held.len());
        while low < high {
            proptest::prop_assert_eq!(iter.next().map(|(at, value)| (at.millis(), value)), Some(held[low]));
            low += 1;
            if low < high {
                high -= 1;
                proptest::prop_assert_eq!(iter.next_back().map(|(at, value)| (at.millis(), value)), Some(held[high]));
            }
        }
        proptest::prop_assert!(iter.next().is_none() && iter.next_back().is_none());
        let (mut times, mut values) = (Vec::new(), Vec::new());
        window.copy_into(&mut times, &mut values);
        proptest::prop_assert!(times.into_iter().zip(values).eq(held));
        if let Some(restored) = restored {
            proptest::prop_assert_eq!(encoded(&restored), encoded(&window));
        }
    }
}

#[test]
fn history_before_sketches_becomes_sketches_and_all_stays_in_order() {
    let age = Span::hours(240);
    for tier in [Tier::Hourly, Tier::Faded] {
        for count in [1, 192, 193, 200, 208, 500_i64] {
            let mut window = Window::default();
            (5_000..6_000_i64).for_each(|n| window.push(Timestamp::from_secs(n * 60), n as f64, 10_000, age, 10));
            window.move_to(tier, age);
            window.move_to(Tier::Exact, age);
            (6_000..6_300_i64).for_each(|n| window.push(Timestamp::from_secs(n * 60), n as f64, 10_000, age, 10));
            for before in [4_000, 3_000] {
                let older: Vec<(Timestamp, f64)> =
                    (before..before + count).map(|n| (Timestamp::from_secs(n * 60), n as f64)).collect();
                assert_eq!(window.push_front(&older, 10_000, age), count as usize);
            }
            let ordered = |window: &Window| window.iter().is_sorted_by(|one, other| one.0 < other.0);
            assert!(ordered(&window) && window.len() == window.iter().count(), "{tier:?}, {count}");
            let again: Window = rmp_serde::from_slice(&encoded(&window)).expect("decodes");
            assert_eq!(again, window);
            window.move_to(tier, age);
            assert!(ordered(&window) && window.len() == window.iter().count(), "{tier:?}, {count}");
            assert!(rmp_serde::from_slice::<Window>(&encoded(&window)).is_ok());
        }
    }
}

#[test]
fn older_samples_go_in_front_as_far_as_there_is_room() {
    let mut window = filled(998);
    let older: Vec<_> = (-5..0).map(|n| (Timestamp::from_secs(n * 60), n as f64)).collect();
    assert_eq!(window.push_front(&older, 1000, Span::hours(24)), 2);
    assert_eq!(window.oldest(), Some((Timestamp::from_secs(-120), -2.0)));
    assert_eq!(
        window.last(2).map(|(_, v)| v).collect::<Vec<_>>(),
        window.iter().map(|(_, v)| v).skip(998).collect::<Vec<_>>()
    );
}

#[test]
fn a_lower_tier_takes_less_and_gives_samples_like_those_it_took() {
    let age = Span::hours(24);
    let cases = [Tier::Hourly, Tier::Faded, Tier::Bounds].into_iter().flat_map(|to| {
        [0, 300, 976, 2_999].into_iter().flat_map(move |moved_at| (1..=6).map(move |seed| (to, moved_at, seed)))
    });
    for (to, moved_at, seed) in cases {
        let case = format!("{to:?} after {moved_at} samples, seed {seed}");
        let (mut window, mut exact) = (Window::default(), Window::default());
        let mut noise = crate::stats::noise::Noise::new(seed);
        for n in 0..3000_i64 {
            let at = Timestamp::from_secs(n * 30);
            let value = 1000.0 + noise.bell();
            window.push(at, value, 10_000, age, 10);
            exact.push(at, value, 10_000, age, 10);
            if n == moved_at {
                window.move_to(to, age);
                let again: Window = rmp_serde::from_slice(&encoded(&window)).expect("decodes");
                assert_eq!(encoded(&again), encoded(&window), "{case}");
            }
        }
        assert_eq!(window.len(), window.iter().count(), "{case}");
        assert!(window.iter().is_sorted_by(|one, other| one.0 < other.0), "{case}");
        let most = if to == Tier::Hourly { 8_000 } else { 1_600 };
        assert!(window.bytes() < most, "{case}: {} of {}", window.bytes(), exact.bytes());
        let at = |window: &Window, share: f64| {
            let mut values: Vec<f64> = window.iter().map(|(_, value)| value).collect();
            values.sort_by(f64::total_cmp);
            values[(values.len() as f64 * share) as usize]
        };
        for share in [0.025, 0.25, 0.5, 0.75, 0.975] {
            let (is, was) = (at(&window, share), at(&exact, share));
            let near = if (0.2..0.8).contains(&share) { 0.15 } else { 0.4 };
            assert!((is - was).abs() < near, "{case}, {share}: {is} for {was}");
        }
        // Back up it takes samples as they come again, and lets go of the sketches as they age.
        window.move_to(Tier::Exact, age);
        for n in 3000..6200_i64 {
            window.push(Timestamp::from_secs(n * 30), 1.0, 10_000, age, 10);
        }
        assert_eq!(window.last_exact(10_000).len(), window.len(), "{case}");
    }
}
