//! The servers of a host in their order.

use super::unit::{Handing, Order, Unit};

/// Servers in the order in which they start. Cloning is cheap: all clones mean the same servers.
#[derive(Clone)]
pub struct Host {
    units: Vec<Unit>,
}

impl Host {
    /// Of these.
    pub fn new(units: Vec<Unit>) -> Self {
        Self { units }
    }

    /// All of them, in start order.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The one of this name.
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.name() == name)
    }

    /// Starts all of them, each ready before the next one begins. One that does not start is passed over, and tried
    /// again by whoever looks after it. Returns what failed and why.
    pub async fn start_all(&self) -> Vec<String> {
        let mut failed = Vec::new();
        for unit in &self.units {
            failed.extend(unit.order(Order::Start).await.err());
        }
        failed
    }

    /// Stops all of them in the opposite order. Those that others do not stand on drain beside each other: who waits for
    /// a slow session of one must not keep the next one from draining in time. Then the others, one after the other.
    pub async fn stop_all(&self) {
        let (outer, inner): (Vec<_>, Vec<_>) =
            self.units.iter().rev().partition(|unit| unit.handing() == Handing::Beside);
        let mut ending = Vec::new();
        for unit in outer {
            ending.push(unit.begin(Order::Stop).await);
        }
        for ended in ending {
            let _ = ended.wait().await;
        }
        for unit in inner {
            let _ = unit.order(Order::Stop).await;
        }
    }
}

#[cfg(test)]
mod tests;
