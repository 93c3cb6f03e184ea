//! Those who guess wait: after some wrong tries of an address each answer comes later than the one before.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Slips of the hand, for which nobody waits.
const FREE: u32 = 5;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// After this without a wrong try nothing is remembered.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// Addresses that are remembered; the one that failed longest ago gives way.
const ADDRESSES_MAX: usize = 4096;

#[derive(Default)]
pub struct Slow {
    failures: HashMap<IpAddr, (u32, Instant)>,
}

/// What one customer of a provider has: an address of IPv4, and of IPv6 the first half.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

fn wait(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None | Some(0) => Duration::ZERO,
        Some(more) => FIRST.saturating_mul(1 << (more - 1).min(16)).min(LONGEST),
    }
}

impl Slow {
    /// One more wrong try; how long its answer waits.
    pub fn failed(&mut self, address: IpAddr, now: Instant) -> Duration {
        let address = network(address);
        if self.failures.len() >= ADDRESSES_MAX && !self.failures.contains_key(&address) {
            self.failures.retain(|_, (_, at)| now.saturating_duration_since(*at) < FORGOTTEN);
            let oldest = self.failures.iter().min_by_key(|(_, (_, at))| *at).map(|(address, _)| *address);
            if self.failures.len() >= ADDRESSES_MAX
                && let Some(oldest) = oldest
            {
                self.failures.remove(&oldest);
            }
        }
        let (count, at) = self.failures.entry(address).or_insert((0, now));
        if now.saturating_duration_since(*at) >= FORGOTTEN {
            *count = 0;
        }
        (*count, *at) = (count.saturating_add(1), now);
        wait(*count)
    }

    /// How long an address waits by what it did so far.
    pub fn due(&self, address: IpAddr, now: Instant) -> Duration {
        match self.failures.get(&network(address)) {
            Some((count, at)) if now.saturating_duration_since(*at) < FORGOTTEN => wait(*count),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_free_and_guessing_gets_slow_for_that_address_alone() {
        let (mut slow, now) = (Slow::default(), Instant::now());
        let guesser: IpAddr = "192.0.2.1".parse().expect("an address");
        let waits: Vec<u128> = (0..13).map(|_| slow.failed(guesser, now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(slow.due(guesser, now), LONGEST);
        assert_eq!(slow.due("::ffff:192.0.2.1".parse().expect("an address"), now), LONGEST, "the same one");
        assert_eq!(slow.due("192.0.2.2".parse().expect("an address"), now), Duration::ZERO);
        assert_eq!(slow.due(guesser, now + FORGOTTEN), Duration::ZERO);
        assert_eq!(slow.failed(guesser, now + FORGOTTEN), Duration::ZERO, "it begins anew");
    }

    #[test]
    fn a_network_of_addresses_is_one_and_memory_is_bounded() {
        let (mut slow, now) = (Slow::default(), Instant::now());
        for n in 0..20_u128 {
            slow.failed(IpAddr::V6((0x2001_0db8_u128 << 96 | n).into()), now);
        }
        assert_eq!((slow.failures.len(), slow.due("2001:db8::ffff".parse().expect("an address"), now)), (1, LONGEST));
        for n in 0..5000_u32 {
            slow.failed(IpAddr::V4(n.into()), now + Duration::from_millis(n.into()));
        }
        assert_eq!(slow.failures.len(), ADDRESSES_MAX);
        assert!(slow.failures.contains_key(&IpAddr::V4(4999.into())), "the latest are known");
    }
}
