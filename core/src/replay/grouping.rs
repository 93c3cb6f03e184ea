//! Pages as Alertmanager would tell of them: gathered by labels, held back, repeated.
//!
//! As Alertmanager 0.25 does, for one receiver. Two simplifications: a group that has become empty is gone at once, where
//! Alertmanager tidies up twice a minute; and a page reaches it at the evaluation at which it begins or ends.

use super::labels::Labels;
use super::page::Page;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A route's settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Pages that agree in these labels are one group; `None` is `group_by: ['...']`, every page for itself.
    pub group_by: Option<Vec<String>>,
    /// From a group's first page to its first notification.
    pub group_wait: Span,
    /// From one look at a group to the next, at least a second.
    pub group_interval: Span,
    /// After how long a notification is repeated although nothing changed.
    pub repeat_interval: Span,
    /// Whether the receiver hears of what ended.
    pub send_resolved: bool,
}

impl Default for Route {
    /// Alertmanager's own defaults, with a receiver that hears of what ended, as webhooks do.
    fn default() -> Route {
        Route {
            group_by: Some(Vec::new()),
            group_wait: Span::from_secs(30),
            group_interval: Span::minutes(5),
            repeat_interval: Span::hours(4),
            send_resolved: true,
        }
    }
}

/// Why a notification goes out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Something fires that the last notification did not know of.
    Firing,
    /// Something ended.
    Resolved,
    /// Nothing changed, for long.
    Repeated,
}

/// What a receiver gets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notification {
    pub at: Timestamp,
    /// What the group has in common.
    pub group: Labels,
    pub because: Because,
    /// The alerts that fire, by their labels.
    pub firing: Vec<Labels>,
    /// Those that ended since the group was looked at last.
    pub resolved: Vec<Labels>,
}

/// The notifications until `end`, that instant included, in order of time; those of one instant by their group.
pub fn notifications(pages: &[Page], route: &Route, end: Timestamp) -> Vec<Notification> {
    let mut groups: BTreeMap<Labels, Vec<&Page>> = BTreeMap::new();
    for page in pages {
        let group = match &route.group_by {
            Some(names) => page.labels.filter(|name| names.iter().any(|by| by == name)),
            None => page.labels.clone(),
        };
        groups.entry(group).or_default().push(page);
    }
    let mut all: Vec<Notification> =
        groups.into_iter().flat_map(|(group, pages)| of_group(&group, pages, route, end)).collect();
    all.sort_by(|a, b| (a.at, &a.group).cmp(&(b.at, &b.group)));
    all
}

/// What the last notification of a group told.
#[derive(Default)]
struct Told {
    at: Option<Timestamp>,
    firing: BTreeSet<Labels>,
    resolved: BTreeSet<Labels>,
}

fn of_group(group: &Labels, mut pages: Vec<&Page>, route: &Route, end: Timestamp) -> Vec<Notification> {
    pages.sort_by_key(|page| page.began);
    let interval = route.group_interval.max(Span::from_secs(1));
    let mut notifications = Vec::new();
    let mut told = Told::default();
    let mut coming = pages.into_iter().peekable();
    // The pages that the group knows: by label set, the latest of each.
    let mut known: BTreeMap<&Labels, &Page> = BTreeMap::new();
    while let Some(first) = coming.peek() {
        let mut look = first.began + route.group_wait;
        while look <= end {
            while let Some(page) = coming.next_if(|page| page.began <= look) {
                known.insert(&page.labels, page);
            }
            let ended = |page: &Page| page.ended.is_some_and(|ended| ended <= look);
            let of = |wanted: bool| -> BTreeSet<Labels> {
                known.values().filter(|page| ended(page) == wanted).map(|page| page.labels.clone()).collect()
            };
            let (resolved, firing) = (of(true), of(false));
            if let Some(because) = told.lacks(&firing, &resolved, look, route) {
                // A receiver that does not hear of ends is not told of the last one either; it counts as told all the same.
                if route.send_resolved || !firing.is_empty() {
                    let shown = if route.send_resolved { resolved.iter().cloned().collect() } else { Vec::new() };
                    let firing = firing.iter().cloned().collect();
                    notifications.push(Notification {
                        at: look,
                        group: group.clone(),
                        because,
                        firing,
                        resolved: shown,
                    });
                }
                told = Told { at: Some(look), firing, resolved };
            }
            known.retain(|_, page| !ended(page));
            if known.is_empty() {
                break;
            }
            look = look + interval;
        }
        if look > end {
            break;
        }
    }
    notifications
}

impl Told {
    /// What the receiver would have to be told now.
    fn lacks(
        &self,
        firing: &BTreeSet<Labels>,
        resolved: &BTreeSet<Labels>,
        now: Timestamp,
        route: &Route,
    ) -> Option<Because> {
        if !firing.is_subset(&self.firing) {
            return Some(Because::Firing);
        }
        if firing.is_empty() {
            return (!self.firing.is_empty()).then_some(Because::Resolved);
        }
        if route.send_resolved && !resolved.is_subset(&self.resolved) {
            return Some(Because::Resolved);
        }
        let long_ago = self.at.is_some_and(|at| at + route.repeat_interval < now);
        long_ago.then_some(Because::Repeated)
    }
}
