//! Replicas that send the same: of those that watch one cluster, one is listened to.
//!
//! The first that sends wins. Another takes over when nothing has come of it for a while: then both would have missed as much.

use super::labels::Replica;
use homeostat::time::{Span, Timestamp};
use std::collections::HashMap;

/// A replica of which nothing came for so long has another one take over.
const FAILOVER: Span = Span::from_secs(60);

/// Replicas that are known; who sends more of them has taken the wrong label for one.
const REPLICAS_MAX: usize = 10_000;

/// What tells replicas apart is not longer, in bytes.
const TEXT_MAX: usize = 1024;

/// A replica that is known, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member(u32);

#[derive(Debug, Default)]
pub struct Replicas {
    members: HashMap<Replica, Member>,
    /// What each member watches, and who it is.
    of: Vec<(usize, String)>,
    clusters: HashMap<Vec<String>, usize>,
    elected: Vec<Elected>,
}

#[derive(Clone, Copy, Debug)]
struct Elected {
    member: Member,
    /// When samples of it came last.
    at: Timestamp,
}

/// Whether a replica is listened to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    Yes,
    /// It takes over now.
    TakesOver,
    /// Another one stands for it.
    No,
}

impl Replicas {
    /// The number of a replica; none: too many are known, or what tells it apart is too long.
    pub fn member(&mut self, replica: &Replica, now: Timestamp) -> Option<Member> {
        if let Some(member) = self.members.get(replica) {
            return Some(*member);
        }
        let text = replica.cluster.iter().chain(&replica.replica).map(String::len).sum::<usize>();
        if self.of.len() == REPLICAS_MAX || text > TEXT_MAX {
            return None;
        }
        let member = Member(self.of.len() as u32);
        let next = self.elected.len();
        let cluster = *self.clusters.entry(replica.cluster.clone()).or_insert(next);
        if cluster == next {
            self.elected.push(Elected { member, at: now });
        }
        self.of.push((cluster, replica.replica.join(",")));
        self.members.insert(replica.clone(), member);
        Some(member)
    }

    /// Samples of a replica have come.
    pub fn heard(&mut self, member: Member, now: Timestamp) -> Heard {
        let elected = &mut self.elected[self.of[member.0 as usize].0];
        if elected.member == member {
            elected.at = elected.at.max(now);
            return Heard::Yes;
        }
        if now.since(elected.at) <= FAILOVER {
            return Heard::No;
        }
        *elected = Elected { member, at: now };
        Heard::TakesOver
    }

    /// As it is told apart: `replica=a`.
    pub fn name(&self, member: Member) -> &str {
        &self.of[member.0 as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wins_and_another_takes_over_after_a_minute_of_silence_of_its_own_cluster_alone() {
        let mut replicas = Replicas::default();
        let at = |secs: i64| Timestamp::from_secs(1_700_000_000 + secs);
        let mut member = |cluster: &str, replica: &str| {
            let replica = Replica { cluster: vec![cluster.to_owned()], replica: vec![format!("replica={replica}")] };
            replicas.member(&replica, at(0)).expect("room")
        };
        let (a, b, other) = (member("eu", "a"), member("eu", "b"), member("us", "b"));
        assert_eq!(member("eu", "a"), a);
        assert_eq!(replicas.heard(b, at(1)), Heard::No, "it came second");
        assert_eq!(replicas.heard(a, at(10)), Heard::Yes);
        assert_eq!(replicas.heard(other, at(10)), Heard::Yes, "it watches something else");
        assert_eq!(replicas.heard(b, at(70)), Heard::No, "a minute has just passed");
        assert_eq!(replicas.heard(b, at(71)), Heard::TakesOver);
        assert_eq!(replicas.heard(b, at(72)), Heard::Yes);
        assert_eq!(replicas.heard(a, at(100)), Heard::No, "it does not come back by itself");
        assert_eq!(replicas.heard(a, at(133)), Heard::TakesOver);
        assert_eq!(replicas.name(a), "replica=a");
    }

    #[test]
    fn a_label_that_is_none_of_replicas_fills_no_memory() {
        let mut replicas = Replicas::default();
        let taken = (0..20_000).filter(|n| {
            let replica = Replica { cluster: Vec::new(), replica: vec![n.to_string()] };
            replicas.member(&replica, Timestamp::EPOCH).is_some()
        });
        assert_eq!(taken.count(), REPLICAS_MAX);
        let long = Replica { cluster: vec!["x".repeat(TEXT_MAX)], replica: vec!["replica=a".to_owned()] };
        assert_eq!(Replicas::default().member(&long, Timestamp::EPOCH), None);
    }
}
