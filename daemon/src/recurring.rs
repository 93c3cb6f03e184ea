//! A map for keys that are asked for in the same order again and again: who sends series, or is scraped for them, tells them in the order
//! of the time before.
//!
//! So the one that follows is mostly the one that followed before: then nothing is hashed or looked up, and what is read lies side by side.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

pub struct Recurring<K, V, S = RandomState> {
    /// In the order in which they came first.
    all: Vec<Item<K, V>>,
    at: HashMap<K, u32, S>,
    /// The one that was asked for last.
    last: u32,
}

struct Item<K, V> {
    key: K,
    value: V,
    /// The one that was asked for after it.
    follows: u32,
}

impl<K, V, S: Default> Default for Recurring<K, V, S> {
    fn default() -> Self {
        Recurring { all: Vec::new(), at: HashMap::default(), last: 0 }
    }
}

impl<K: Eq + Hash + Clone, V, S: BuildHasher> Recurring<K, V, S> {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    #[inline]
    pub fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let foreseen = self.foreseen();
        let at = match self.all.get(foreseen as usize) {
            Some(item) if item.key.borrow() == key => foreseen,
            _ => *self.at.get(key)?,
        };
        Some(&mut self.asked_for(at, foreseen).value)
    }

    /// Puts a value in the place of the one with its key, or behind all.
    pub fn put(&mut self, key: K, value: V) -> &mut V {
        let foreseen = self.foreseen();
        let at = match self.at.get(&key) {
            Some(at) => {
                self.all[*at as usize].value = value;
                *at
            }
            None => {
                let at = self.all.len() as u32;
                self.at.insert(key.clone(), at);
                // The first time around each is followed by the next new one.
                self.all.push(Item { key, value, follows: at + 1 });
                at
            }
        };
        &mut self.asked_for(at, foreseen).value
    }

    #[inline]
    fn foreseen(&self) -> u32 {
        self.all.get(self.last as usize).map_or(0, |last| last.follows)
    }

    #[inline]
    fn asked_for(&mut self, at: u32, foreseen: u32) -> &mut Item<K, V> {
        // One that comes twice in a row has both times the same behind it.
        if at != foreseen
            && at != self.last
            && let Some(last) = self.all.get_mut(self.last as usize)
        {
            last.follows = at;
        }
        self.last = at;
        &mut self.all[at as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.all.iter().map(|item| (&item.key, &item.value))
    }

    /// All of them, which it holds no more.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        let all = std::mem::take(&mut self.all);
        self.at.clear();
        all.into_iter().map(|item| (item.key, item.value))
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        const GONE: u32 = u32::MAX;
        let mut kept = 0;
        let place = |item: &Item<K, V>| {
            let place = if keep(&item.key, &item.value) { kept } else { GONE };
            kept += u32::from(place != GONE);
            place
        };
        let places: Vec<u32> = self.all.iter().map(place).collect();
        let mut old = 0..;
        self.all.retain(|_| old.next().is_some_and(|old: usize| places[old] != GONE));
        self.at.retain(|_, at| {
            *at = places[*at as usize];
            *at != GONE
        });
        // Who followed one that is gone is found again when it comes.
        let moved = |old: u32| places.get(old as usize).copied().filter(|place| *place != GONE).unwrap_or(0);
        self.all.iter_mut().for_each(|item| item.follows = moved(item.follows));
        self.last = moved(self.last);
    }

    /// What will be asked for next, one after the other, as far as that can be foretold.
    pub fn foretell(&self) -> Foretold<'_, K, V, S> {
        Foretold { of: self, last: self.last }
    }
}

pub struct Foretold<'a, K, V, S> {
    of: &'a Recurring<K, V, S>,
    last: u32,
}

impl<K, V, S> Foretold<'_, K, V, S> {
    /// The one that is foretold, or that after it, if it is what came.
    #[inline]
    pub fn next_if(&mut self, mut came: impl FnMut(&K) -> bool) -> Option<&K> {
        let all = &self.of.all;
        let mut at = self.last;
        for _ in 0..2 {
            at = all.get(at as usize)?.follows;
            let item = all.get(at as usize)?;
            if came(&item.key) {
                self.last = at;
                return Some(&item.key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> [Vec<u64>; 3] {
        [(0..100).collect(), (0..100).rev().collect(), (0..100).map(|n| n * 37 % 100).collect()]
    }

    #[test]
    fn what_was_put_is_found_in_any_order_until_it_is_let_go() {
        let mut map: Recurring<u64, u64> = Recurring::default();
        assert!(map.get(&0).is_none());
        (0..100).for_each(|n| _ = map.put(n * 7, n));
        *map.put(21, 0) = 1_000;
        assert_eq!(map.len(), 100);
        for order in orders().into_iter().chain(orders()) {
            for n in order {
                assert_eq!(map.get(&(n * 7)).copied(), Some(if n == 3 { 1_000 } else { n }));
                assert!(map.get(&(n * 7 + 1)).is_none());
            }
        }
        map.retain(|key, _| key.is_multiple_of(2));
        assert_eq!((map.len(), map.iter().count()), (50, 50));
        for n in 0..100 {
            assert_eq!(map.get(&(n * 7)).copied(), (n % 2 == 0).then_some(n));
        }
        map.put(7, 1);
        assert_eq!(map.get(&7).copied(), Some(1));
        assert_eq!(map.drain().map(|(key, _)| key).max(), Some(98 * 7));
        assert!(map.get(&7).is_none() && map.get(&0).is_none());
        map.put(7, 2);
        assert_eq!(map.get(&7).copied(), Some(2));
    }

    #[test]
    fn the_order_of_before_is_foretold_whatever_it_was_and_past_one_that_is_gone() {
        let mut map: Recurring<u64, ()> = Recurring::default();
        (0..100).for_each(|n| _ = map.put(n, ()));
        for order in orders() {
            for n in &order {
                map.get(n);
            }
            // And once more, with what follows the last one.
            map.get(&order[0]);
            (1..100).for_each(|n| _ = map.get(&order[n]));
            let mut foretold = map.foretell();
            for (n, key) in order.iter().enumerate() {
                let here = foretold.next_if(|foretold| foretold == key).is_some();
                assert!(here || n == 50, "{key}");
            }
            let mut foretold = map.foretell();
            let all = order.iter().enumerate().filter(|(n, _)| *n != 50);
            assert!(all.into_iter().all(|(_, key)| foretold.next_if(|foretold| foretold == key).is_some()));
            assert!(foretold.next_if(|_| false).is_none());
        }
    }
}
