//! Replicas that send the same: of those that watch one cluster, one is listened to.
//!
//! The first that sends wins. Another takes over when nothing has come of it for a while: then both would have missed as much. One of
//! which nothing came for an hour is forgotten when its place is needed; it is known anew when it comes again.

use super::labels::Replica;
use homeostat::time::{Span, Timestamp};
use std::collections::HashMap;

/// A replica of which nothing came for so long has another one take over.
const FAILOVER: Span = Span::from_secs(60);

/// Replicas that are known; who sends more of them at once has taken the wrong label for one.
const REPLICAS_MAX: usize = 10_000;

/// A replica of which nothing came for so long gives way to a new one when all places are taken.
const IDLE: Span = Span::hours(1);

/// So much before all places are taken is looked for idle ones again.
const LOOK_EVERY: Span = Span::minutes(1);

/// What tells replicas apart is not longer, in bytes.
const TEXT_MAX: usize = 1024;

/// A replica that is known. Its place may later be another one's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    place: u32,
    generation: u32,
}

#[derive(Debug, Default)]
pub struct Replicas {
    members: HashMap<Replica, Member>,
    /// By their places; none: free.
    of: Vec<Option<Known>>,
    free: Vec<u32>,
    clusters: HashMap<Vec<String>, usize>,
    elected: Vec<Elected>,
    free_clusters: Vec<usize>,
    /// Grows with each that is met.
    generation: u32,
    looked: Option<Timestamp>,
}

#[derive(Debug)]
struct Known {
    generation: u32,
    cluster: usize,
    /// As it is told apart: `replica=a`.
    name: String,
    /// When samples of it came last.
    at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Elected {
    member: Member,
    /// When samples of it came last.
    at: Timestamp,
    /// How many watch this cluster.
    members: u32,
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
    /// A replica by what tells it apart; none: too many are known and alive, or what tells it apart is too long.
    pub fn member(&mut self, replica: &Replica, now: Timestamp) -> Option<Member> {
        if let Some(member) = self.members.get(replica) {
            return Some(*member);
        }
        let text = replica.cluster.iter().chain(&replica.replica).map(String::len).sum::<usize>();
        if text > TEXT_MAX || !self.has_room(now) {
            return None;
        }
        self.generation = self.generation.wrapping_add(1);
        let place = self.free.pop().unwrap_or(self.of.len() as u32);
        let member = Member { place, generation: self.generation };
        let next = self.free_clusters.last().copied().unwrap_or(self.elected.len());
        let cluster = *self.clusters.entry(replica.cluster.clone()).or_insert(next);
        if cluster == next {
            let elected = Elected { member, at: now, members: 0 };
            match self.free_clusters.pop() {
                Some(free) => self.elected[free] = elected,
                None => self.elected.push(elected),
            }
        }
        self.elected[cluster].members += 1;
        let known = Known { generation: self.generation, cluster, name: replica.replica.join(","), at: now };
        match self.of.get_mut(place as usize) {
            Some(free) => *free = Some(known),
            None => self.of.push(Some(known)),
        }
        self.members.insert(replica.clone(), member);
        Some(member)
    }

    /// Whether this one is known still.
    pub fn knows(&self, member: Member) -> bool {
        self.known(member).is_some()
    }

    fn known(&self, member: Member) -> Option<&Known> {
        self.of.get(member.place as usize)?.as_ref().filter(|known| known.generation == member.generation)
    }

    /// Samples of a replica have come. One that is forgotten is not listened to: ask for it anew.
    pub fn heard(&mut self, member: Member, now: Timestamp) -> Heard {
        let known = self.of.get_mut(member.place as usize).and_then(Option::as_mut);
        let Some(known) = known.filter(|known| known.generation == member.generation) else { return Heard::No };
        known.at = known.at.max(now);
        let elected = &mut self.elected[known.cluster];
        if elected.member == member {
            elected.at = elected.at.max(now);
            return Heard::Yes;
        }
        if now.since(elected.at) <= FAILOVER {
            return Heard::No;
        }
        (elected.member, elected.at) = (member, now);
        Heard::TakesOver
    }

    /// As it is told apart: `replica=a`.
    pub fn name(&self, member: Member) -> &str {
        self.known(member).map_or("", |known| &known.name)
    }

    /// Whether there is a place; idle ones are given up for it.
    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.members.len() < REPLICAS_MAX {
            return true;
        }
        if self.looked.is_some_and(|at| now.since(at) < LOOK_EVERY) {
            return false;
        }
        self.looked = Some(now);
        let Replicas { members, of, free, elected, .. } = self;
        members.retain(|_, member| {
            let place = &mut of[member.place as usize];
            let Some(idle) = place.take_if(|known| now.since(known.at) >= IDLE) else { return true };
            elected[idle.cluster].members -= 1;
            free.push(member.place);
            false
        });
        let (elected, free_clusters) = (&self.elected, &mut self.free_clusters);
        self.clusters.retain(|_, cluster| {
            let watched = elected[*cluster].members > 0;
            if !watched {
                free_clusters.push(*cluster);
            }
            watched
        });
        self.members.len() < REPLICAS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn replica(cluster: &str, replica: &str) -> Replica {
        Replica { cluster: vec![cluster.to_owned()], replica: vec![format!("replica={replica}")] }
    }

    #[test]
    fn the_first_wins_and_another_takes_over_after_a_minute_of_silence_of_its_own_cluster_alone() {
        let mut replicas = Replicas::default();
        let mut member = |cluster: &str, name: &str| replicas.member(&replica(cluster, name), at(0)).expect("room");
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
        let taken = (0..20_000).filter(|n| replicas.member(&replica("eu", &n.to_string()), at(0)).is_some());
        assert_eq!(taken.count(), REPLICAS_MAX);
        let long = replica(&"x".repeat(TEXT_MAX), "a");
        assert_eq!(Replicas::default().member(&long, at(0)), None);
    }

    /// Pods that come and go are replicas, too: ten thousand of them are no end.
    #[test]
    fn those_of_which_nothing_comes_any_more_give_way_and_are_known_anew_when_they_come_again() {
        let mut replicas = Replicas::default();
        let name = |n: usize| replica(&format!("cluster {}", n / 2), &n.to_string());
        let first: Vec<Member> = (0..REPLICAS_MAX).map(|n| replicas.member(&name(n), at(0)).expect("room")).collect();
        let alive = first[7];
        assert_eq!(replicas.member(&name(REPLICAS_MAX), at(3000)), None, "they may come again");
        assert_eq!(replicas.heard(alive, at(3000)), Heard::TakesOver);
        assert_eq!(replicas.member(&name(REPLICAS_MAX), at(3030)), None, "there was a look just now");
        let new = replicas.member(&name(REPLICAS_MAX), at(3700)).expect("room again");
        assert_eq!((replicas.members.len(), replicas.clusters.len()), (2, 2));
        assert!(replicas.knows(new) && replicas.knows(alive));
        assert!(!replicas.knows(first[6]) && replicas.heard(first[6], at(3700)) == Heard::No);
        assert_eq!(replicas.heard(alive, at(3701)), Heard::Yes, "it stands for its cluster still");
        let again = replicas.member(&name(6), at(3702)).expect("room");
        assert_eq!(replicas.heard(again, at(3702)), Heard::No, "another one stands for it now");
        // All places are used again, and none for two.
        for n in 20_000..20_000 + REPLICAS_MAX - 3 {
            replicas.member(&name(n), at(3703)).expect("room");
        }
        assert_eq!((replicas.of.len(), replicas.members.len()), (REPLICAS_MAX, REPLICAS_MAX));
        assert!(replicas.elected.len() <= REPLICAS_MAX / 2 + 2, "{}", replicas.elected.len());
        assert!(replicas.elected.iter().map(|elected| elected.members).sum::<u32>() >= REPLICAS_MAX as u32);
    }
}
