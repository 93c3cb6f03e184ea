//! Who knocks, who is let in, and whether the access file can be read.

use super::Families;
use crate::access::{Refusal, Tally};
use std::sync::atomic::{AtomicU64, Ordering};

impl Families {
    pub(super) fn door(&mut self, tally: &Tally) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed) as f64;
        let refused = self.counter("homeostat_http_refused_total", "Requests that were refused at the door, by why.");
        for why in Refusal::ALL {
            refused.put([("reason", why.as_str())], tally.of(why) as f64);
        }
        self.gauge("homeostat_http_connections", "Connections that are open.").put([], count(&tally.connections));
        let closed = self.counter(
            "homeostat_http_connections_closed_total",
            "Connections that gave way to a newer one while idle, or found no place since all others were busy.",
        );
        closed.put([("why", "displaced")], count(&tally.displaced));
        closed.put([("why", "no_room")], count(&tally.turned_away));
        self.counter("homeostat_http_tls_handshakes_failed_total", "TLS handshakes that failed or took too long.")
            .put([], count(&tally.handshakes_failed));
        self.counter("homeostat_access_read_errors_total", "How often the access file was found spoiled.")
            .put([], count(&tally.read_errors));
        self.gauge("homeostat_access_problem", "1 while the access file is spoiled: what was read before is in force.")
            .put([], f64::from(u8::from(tally.spoiled.load(Ordering::Relaxed))));
        let audit =
            self.counter("homeostat_audit_records_total", "Changes that people and tools asked for, by whether kept.");
        audit.put([("kept", "true")], count(&tally.audited));
        audit.put([("kept", "false")], count(&tally.not_audited));
    }
}
