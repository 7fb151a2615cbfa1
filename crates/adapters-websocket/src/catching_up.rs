//! From behind to live: a page of the feed at a time, listening before each read, so that nothing falls between and
//! nothing comes twice. Serves clients that resume and those for which more came at once than waits for them.

use std::sync::Arc;

use ports::feed::Channel;
use ports::journal::{Position, Record};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use crate::Hub;
use crate::connection::Connection;
use crate::encode;
use crate::goodbye::Goodbye;
use crate::planted::Planted;
use crate::socket::Stream;
use crate::subscribing::answered;
use crate::subscriptions::{Progress, Reached, Subscription};

/// Records in one read.
const PAGE: usize = 256;

impl<S: Stream> Connection<'_, S> {
    /// Takes the next step of a subscription that is behind; `turn` is given back after the read.
    pub(crate) async fn catch_up(&mut self, turn: SemaphorePermit<'_>) -> Result<(), Goodbye> {
        let Some(mut subscription) = self.subscriptions.take_behind() else { return Ok(()) };
        let step = self.step(&mut subscription, turn).await;
        self.subscriptions.put_back(subscription);
        step
    }

    async fn step(&mut self, subscription: &mut Subscription, turn: SemaphorePermit<'_>) -> Result<(), Goodbye> {
        let Progress::Behind { since, resume } = &mut subscription.progress else { return Ok(()) };
        let began = *since.get_or_insert_with(Instant::now);
        let resuming = resume.as_ref().map(|resume| resume.records);

        let up_to = self.subscriptions.listen(subscription);
        let after = subscription.reached.complete();
        let read = read(self.hub, &subscription.channel, after, up_to).await;
        drop(turn);
        if self.hub.has(Planted::LateListening) {
            self.subscriptions.listen(subscription);
        }
        let (records, floor) = read?;
        let is_too_much =
            resuming.is_some_and(|before| before.saturating_add(records.len()) > self.hub.settings.resume_limit);
        if floor > after || is_too_much {
            return self.start_over(subscription).await;
        }

        let is_last = records.len() < PAGE;
        if !is_last {
            // What is heard now would come before what is still to be read.
            self.subscriptions.stop_listening(subscription);
        }
        self.replay(subscription, &records, began).await?;
        let Progress::Behind { resume, .. } = &mut subscription.progress else { return Ok(()) };
        if let Some(resume) = resume {
            resume.records += records.len();
        }
        if !is_last {
            return Ok(());
        }
        subscription.reached.advance(Reached::whole(up_to));
        let Some(resume) = resume.take() else {
            subscription.progress = Progress::Live;
            return Ok(());
        };
        subscription.progress = Progress::Live;
        metrics::counter!("lifecycle_websocket_resumes_total", "outcome" => "replayed").increment(1);
        let answer = self.answer(resume.id, Some(&subscription.name));
        self.send(answer.recovered(subscription.reached.cursor(), None)).await
    }

    async fn replay(
        &mut self,
        subscription: &mut Subscription,
        records: &[Arc<Record>],
        began: Instant,
    ) -> Result<(), Goodbye> {
        for frames in encode::frames_for(records.iter().map(Arc::as_ref), &subscription.channel) {
            let Some(unsent) = frames.after(subscription.reached) else { continue };
            if began.elapsed() > self.hub.settings.slow_limit {
                return Err(Goodbye::slow());
            }
            let reached = unsent.reached;
            self.send_frames(unsent).await?;
            subscription.reached.advance(reached);
        }
        if let Some(last) = records.last() {
            subscription.reached.advance(Reached::whole(last.position));
        }
        Ok(())
    }

    /// The client missed what cannot be replayed: it gets the present state instead.
    async fn start_over(&mut self, subscription: &mut Subscription) -> Result<(), Goodbye> {
        let id = match &subscription.progress {
            Progress::Behind { resume: Some(resume), .. } => resume.id,
            _ => None,
        };
        metrics::counter!("lifecycle_websocket_resumes_total", "outcome" => "snapshot").increment(1);
        let snapshot = self.renew(subscription).await.map_err(|_| Goodbye::unavailable())?;
        let answer = self.answer(id, Some(&subscription.name));
        self.send(answer.recovered(subscription.reached.cursor(), Some(&snapshot.0))).await
    }
}

/// A page, and the floor after it was read: if that is not above `after`, nothing was trimmed before.
async fn read(
    hub: &Hub,
    channel: &Channel,
    after: Position,
    up_to: Position,
) -> Result<(Vec<Arc<Record>>, Position), Goodbye> {
    if after >= up_to {
        return Ok((Vec::new(), Position::START));
    }
    let feed = &hub.deps.feed;
    let page = async {
        let records = feed.read(channel, after, up_to, PAGE).await?;
        Ok((records, feed.floor().await?))
    };
    answered(hub, page).await.map_err(|_| Goodbye::unavailable())
}
