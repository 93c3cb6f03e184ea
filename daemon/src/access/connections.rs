//! Connections, and who holds them: nobody keeps others out by holding many.
//!
//! When there is no room a new connection takes the place of one that is idle: of its own address where that has its share, else
//! of the address that has most. Those that never said who they are go first. A request in flight
//! of somebody who was let in is never given up: only where all have one is the new one turned away.

use super::slow::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Connections at once. HTTP/1.1 has one request in each, so this bounds those as well.
pub const MAX: usize = 512;

/// Of these, those of one address.
pub const SHARE: usize = 256;

/// A connection as the table knows it.
#[derive(Debug)]
pub struct Held {
    number: u64,
    network: IpAddr,
    /// Requests in flight.
    busy: AtomicU32,
    /// It said who it is from, and was let in.
    known: AtomicBool,
    /// When something last happened, in the table's own count.
    used: AtomicU64,
    leave: Notify,
}

impl Held {
    /// Returns once the connection has to give way.
    pub async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    pub fn let_in(&self) {
        self.known.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Table {
    held: HashMap<u64, Arc<Held>>,
    next: u64,
}

/// The table. It is small, and looked through only where there is no room.
#[derive(Default)]
pub struct Connections {
    table: Mutex<Table>,
    count: AtomicU64,
}

/// What became of a new connection.
pub enum Came {
    In(Place),
    /// Another one was told to leave.
    InPlaceOf(Place),
    NoRoom,
}

/// A place in the table, free again when this is dropped.
pub struct Place {
    connections: Arc<Connections>,
    pub held: Arc<Held>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.held.remove(&self.held.number);
    }
}

/// A request in flight.
pub struct InFlight {
    connections: Arc<Connections>,
    held: Arc<Held>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.held.used.store(self.connections.tick(), Ordering::Relaxed);
        self.held.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    fn tick(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    pub fn begin(self: &Arc<Connections>, held: &Arc<Held>) -> InFlight {
        held.busy.fetch_add(1, Ordering::Relaxed);
        InFlight { connections: Arc::clone(self), held: Arc::clone(held) }
    }

    pub fn come(self: &Arc<Connections>, address: IpAddr) -> Came {
        let network = network(address);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        if table.held.len() >= SHARE {
            for held in table.held.values() {
                *counts.entry(held.network).or_default() += 1;
            }
        }
        let own = counts.get(&network).copied().unwrap_or(0);
        let full = table.held.len() >= MAX;
        let leaves = match (own >= SHARE, full) {
            (false, false) => None,
            // Of its own address, or of the one that has most and lets go of one.
            (own_share, _) => {
                let of = |held: &&Arc<Held>| !own_share || held.network == network;
                let busy = |held: &Held| held.busy.load(Ordering::Relaxed) > 0;
                let known = |held: &Held| held.known.load(Ordering::Relaxed);
                // Who guesses has a request in flight while its answer waits: that holds no place.
                let may_go = table.held.values().filter(of).filter(|held| !(known(held) && busy(held)));
                let rank = |held: &&Arc<Held>| {
                    let most = counts.get(&held.network).copied().unwrap_or(0);
                    (known(held), std::cmp::Reverse(most), busy(held), held.used.load(Ordering::Relaxed))
                };
                match may_go.min_by_key(rank).map(|held| held.number) {
                    None => return Came::NoRoom,
                    some => some,
                }
            }
        };
        let left = leaves.and_then(|number| table.held.remove(&number));
        if let Some(left) = &left {
            left.leave.notify_one();
        }
        let number = table.next;
        table.next += 1;
        let held = Arc::new(Held {
            number,
            network,
            busy: AtomicU32::new(0),
            known: AtomicBool::new(false),
            used: AtomicU64::new(self.tick()),
            leave: Notify::new(),
        });
        table.held.insert(number, Arc::clone(&held));
        let place = Place { connections: Arc::clone(self), held };
        if left.is_some() { Came::InPlaceOf(place) } else { Came::In(place) }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().expect("nobody panicked").held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn address(n: u32) -> IpAddr {
        IpAddr::V4((0x0A00_0000 + n).into())
    }

    fn place(came: Came) -> Place {
        match came {
            Came::In(place) | Came::InPlaceOf(place) => place,
            Came::NoRoom => panic!("no room"),
        }
    }

    fn has_to_leave(place: &Place) -> bool {
        let left = pin!(place.held.told_to_leave());
        left.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn one_address_with_ten_thousand_connections_displaces_its_own_alone() {
        let all = Arc::new(Connections::default());
        let others: Vec<Place> = (1..=20).map(|n| place(all.come(address(n)))).collect();
        let flood: Vec<Place> = (0..10_000).map(|_| place(all.come(address(0)))).collect();
        assert_eq!(all.len(), SHARE + 20);
        assert!(others.iter().all(|place| !has_to_leave(place)));
        assert_eq!(flood.iter().filter(|place| has_to_leave(place)).count(), 10_000 - SHARE);
        assert!(!has_to_leave(&flood[9_999]), "the oldest go first");
        drop(flood);
        assert_eq!(all.len(), 20);
    }

    #[test]
    fn many_addresses_displace_those_that_have_most_and_never_said_who_they_are() {
        let all = Arc::new(Connections::default());
        let known = place(all.come(address(0)));
        known.held.let_in();
        let strangers: Vec<Place> = (0..MAX as u32 - 1).map(|n| place(all.come(address(1 + n / 2)))).collect();
        assert_eq!(all.len(), MAX);
        for n in 0..2000 {
            drop(place(all.come(address(10_000 + n))));
        }
        let new: Vec<Place> = (0..400).map(|n| place(all.come(address(20_000 + n)))).collect();
        assert!(!has_to_leave(&known) && all.len() <= MAX);
        assert!(strangers.iter().any(has_to_leave) && new.iter().all(|place| !has_to_leave(place)));
    }

    #[test]
    fn a_request_in_flight_is_never_displaced_and_where_all_are_the_new_one_is_turned_away() {
        let all = Arc::new(Connections::default());
        let places: Vec<Place> = (0..SHARE).map(|_| place(all.come(address(0)))).collect();
        let guesses: Vec<InFlight> = places.iter().map(|place| all.begin(&place.held)).collect();
        let new = place(all.come(address(0)));
        assert!(has_to_leave(&places[0]) && !has_to_leave(&places[1]), "who was not let in holds no place by asking");
        drop(guesses);
        let known = || places[1..].iter().chain([&new]);
        known().for_each(|place| place.held.let_in());
        let mut requests: Vec<InFlight> = places[1..].iter().map(|place| all.begin(&place.held)).collect();
        let _newest = all.begin(&new.held);
        assert!(matches!(all.come(address(0)), Came::NoRoom));
        assert!(matches!(all.come(address(1)), Came::In(_)), "another address has its own share");
        requests.pop();
        assert!(matches!(all.come(address(0)), Came::InPlaceOf(_)));
        assert!(has_to_leave(&places[SHARE - 1]) && !has_to_leave(&places[1]));
    }
}
