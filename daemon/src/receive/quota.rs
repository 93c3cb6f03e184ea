//! How much one sender may send: a bucket per address, filled at a steady rate.

use homeostat::time::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;

/// What may be sent at once, in seconds of the rate.
const BURST_S: f64 = 10.0;

/// Addresses that are known at once. The ones that have been silent for longest are forgotten, which costs nothing: their buckets
/// are full.
const SENDERS_MAX: usize = 10_000;

/// Samples that each sender may send.
#[derive(Debug)]
pub struct Quota {
    per_second: f64,
    senders: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Quota {
    pub fn new(per_second: u64) -> Quota {
        Quota { per_second: per_second as f64, senders: HashMap::new() }
    }

    /// Takes so many samples off a sender's quota, or says after how many seconds to try again. What is larger than a full bucket
    /// passes when the bucket is full, and is paid off afterwards: otherwise it could never pass.
    pub fn take(&mut self, sender: IpAddr, samples: usize, now: Timestamp) -> Result<(), u64> {
        let full = self.per_second * BURST_S;
        if self.senders.len() >= SENDERS_MAX && !self.senders.contains_key(&sender) {
            self.forget(now);
        }
        let bucket = self.senders.entry(sender).or_insert(Bucket { left: full, at: now });
        bucket.left = (bucket.left + now.since(bucket.at).secs() * self.per_second).min(full);
        bucket.at = bucket.at.max(now);
        let wanted = (samples as f64).min(full);
        if bucket.left >= wanted {
            bucket.left -= samples as f64;
            return Ok(());
        }
        Err((((wanted - bucket.left) / self.per_second).ceil() as u64).max(1))
    }

    fn forget(&mut self, now: Timestamp) {
        let mut last: Vec<Timestamp> = self.senders.values().map(|bucket| bucket.at).collect();
        let middle = last.len() / 2;
        let (_, median, _) = last.select_nth_unstable(middle);
        let median = (*median).min(now);
        self.senders.retain(|_, bucket| bucket.at > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    #[test]
    fn a_sender_over_its_quota_is_told_when_to_come_again_and_others_are_not() {
        let mut quota = Quota::new(100);
        let [one, two] = [1, 2].map(|n| IpAddr::from(Ipv4Addr::new(10, 0, 0, n)));
        assert_eq!(quota.take(one, 1000, at(0)), Ok(()), "ten seconds' worth at once");
        assert_eq!(quota.take(one, 200, at(0)), Err(2));
        assert_eq!(quota.take(two, 1000, at(0)), Ok(()));
        assert_eq!(quota.take(one, 200, at(1)), Err(1));
        assert_eq!(quota.take(one, 200, at(2)), Ok(()));
        assert_eq!(quota.take(one, 1, at(2)), Err(1));
        // The clock stands still or goes back: nothing is given for it.
        assert_eq!(quota.take(one, 100, at(-5)), Err(1));
        assert_eq!(quota.take(one, 5000, at(100)), Ok(()), "a request larger than the bucket passes when that is full");
        assert_eq!(quota.take(one, 1, at(130)), Err(11), "and is paid off");
    }

    #[test]
    fn any_number_of_addresses_takes_bounded_memory() {
        let mut quota = Quota::new(1);
        for n in 0..50_000_u32 {
            assert_eq!(quota.take(Ipv4Addr::from(n).into(), 1, at(i64::from(n))), Ok(()));
            assert!(quota.senders.len() <= SENDERS_MAX);
        }
    }
}
