//! Callbacks turned around: the engine puts what a loop heard and did into a bounded queue, the caller takes it out when it
//! likes. A slow or failing subscriber loses its oldest news and harms nobody.

use crate::event::Event;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// News of one loop. Unsubscribes when dropped.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Mutex<Queue>>,
}

/// The engine's end.
#[derive(Debug)]
pub(crate) struct Subscriber {
    queue: Weak<Mutex<Queue>>,
}

#[derive(Debug)]
struct Queue {
    news: VecDeque<Event>,
    len_max: usize,
    dropped: u64,
}

/// Both ends of a queue that holds the last `len_max` events, at least one.
pub(crate) fn subscribe(len_max: usize) -> (Subscriber, Subscription) {
    let queue = Arc::new(Mutex::new(Queue { news: VecDeque::new(), len_max: len_max.max(1), dropped: 0 }));
    (Subscriber { queue: Arc::downgrade(&queue) }, Subscription { queue })
}

impl Subscription {
    /// What came since the last call, oldest first.
    pub fn drain(&self) -> Vec<Event> {
        // A subscriber that panicked while it held the lock left a queue that is still whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).news.drain(..).collect()
    }

    /// How many were lost because they were not taken in time.
    pub fn dropped(&self) -> u64 {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

impl Subscriber {
    /// Whether anybody still listens.
    pub fn tell(&self, event: &Event) -> bool {
        let Some(queue) = self.queue.upgrade() else { return false };
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.news.len() == queue.len_max {
            queue.news.pop_front();
            queue.dropped += 1;
        }
        queue.news.push_back(event.clone());
        true
    }
}
