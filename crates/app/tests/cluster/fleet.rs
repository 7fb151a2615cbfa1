//! Several instances at one place, and a producer that goes to whoever answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::{Place, Service};

use crate::BINARY;
use crate::lives::Lives;

/// Instances at one place.
pub(crate) struct Fleet {
    pub(crate) place: Arc<Place>,
    pub(crate) instances: Vec<Service>,
}

impl Fleet {
    /// So many, on the shared servers.
    pub(crate) async fn start(size: usize) -> Self {
        Self::start_at(Arc::new(Place::fresh(BINARY)), size).await
    }

    /// So many, at `place`.
    pub(crate) async fn start_at(place: Arc<Place>, size: usize) -> Self {
        let mut instances = Vec::new();
        for _ in 0..size {
            instances.push(Service::start_at(Arc::clone(&place), BINARY, &[]).await);
        }
        Self { place, instances }
    }

    /// Makes campaigns for `time`, by one instance after the other; who does not answer is passed over.
    pub(crate) async fn produce(&self, lives: &mut Lives, time: Duration) {
        let started = Instant::now();
        let mut turn = 0;
        while started.elapsed() < time {
            let instance = &self.instances[turn % self.instances.len()];
            turn += 1;
            if !instance.is_running() || !lives.produce(&instance.admin()).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Which instance holds the lease `name`.
    pub(crate) async fn holder(&self, name: &str) -> usize {
        testkit::until("somebody holds the lease", async || {
            let holder = self.place.psql(&format!("SELECT holder FROM leases WHERE name = '{name}'"));
            for (n, instance) in self.instances.iter().enumerate() {
                let system = instance.admin().get("/api/v1/system").await.expect(200);
                if system["instances"][0]["id"] == holder.trim() {
                    return Some(n);
                }
            }
            None
        })
        .await
    }

    /// Stops all in order and proves the store.
    pub(crate) async fn finish(mut self) {
        for instance in self.instances.iter_mut().filter(|instance| instance.is_running()) {
            let (status, _) = instance.stop().await;
            assert!(status.success(), "it ended with {status}:\n{}", instance.log());
            assert!(!instance.log().contains("panicked"), "{}", instance.log());
        }
        let any = &self.instances[0];
        any.verify().await.is_clean();
        let audit = any.run("audit", &["verify"]).await;
        assert_eq!(audit.code, Some(0), "{audit:?}");
    }
}
