//! The one thread that writes. It takes whatever waits, runs each request under its own savepoint, and makes one commit of
//! them all (group commit): a request that fails takes nothing along, and a caller that went away changes nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use domain::Timestamp;
use failpoints::Point;
use ports::PortError;
use ports::journal::Record;
use ports::wakeups::{Hint, Wakeups};
use tokio::sync::{mpsc, oneshot, watch};

use crate::checkpoint::{self, LogState};
use crate::failure::{Failure, refused, unavailable, unknown};
use crate::feed::leave_mark;
use crate::journal::Head;
use crate::recent::Recent;
use crate::store_clock::StoreClock;

/// Requests that wait; more callers than this wait for a place.
const QUEUE: usize = 1_024;

/// The most requests in one commit.
const MOST_REQUESTS: usize = 256;

/// A commit takes no further request once its transaction is this old: those in it wait for their answers.
const LONGEST: Duration = Duration::from_millis(15);

/// What a request works with.
pub(crate) struct Unit<'a> {
    pub(crate) connection: &'a mut SqliteConnection,
    pub(crate) clock: &'a StoreClock,
    /// Where the journal and the numbers of campaigns stand, this transaction included.
    pub(crate) head: &'a mut Head,
    /// What the world must know once it is committed.
    pub(crate) news: &'a mut News,
}

/// What the world must know once it is committed.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) records: Vec<Arc<Record>>,
    pub(crate) armed: Option<Timestamp>,
    pub(crate) appended: bool,
}

impl News {
    /// A timer will fire at `at`.
    pub(crate) fn arm(&mut self, at: Timestamp) {
        self.armed = Some(self.armed.map_or(at, |known| known.min(at)));
    }
}

/// Who hears of a commit.
pub(crate) struct Audience {
    pub(crate) recent: Arc<Recent>,
    pub(crate) wakeups: Arc<dyn Wakeups>,
    pub(crate) arrivals: watch::Sender<()>,
    /// Whether the last attempt to write something failed.
    pub(crate) failing: Arc<AtomicBool>,
    /// How far the world was told.
    pub(crate) top: Arc<AtomicU64>,
    pub(crate) log: Arc<LogState>,
}

impl Audience {
    fn tell(&self, news: News) {
        let committed = !news.records.is_empty();
        if committed {
            self.failing.store(false, Ordering::Relaxed);
        }
        // First the records, then the hint: whoever wakes finds them.
        self.recent.push(news.records);
        if committed {
            self.wakeups.announce(Hint::Committed);
        }
        if let Some(at) = news.armed {
            self.wakeups.announce(Hint::TimerArmed(at));
        }
        if news.appended {
            self.arrivals.send_replace(());
            self.wakeups.announce(Hint::Appended);
        }
    }
}

/// The writing thread's other end. Dropping it lets the thread finish what it took and waits for it.
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: SqliteConnection,
        head: Head,
        clock: Arc<StoreClock>,
        audience: Audience,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let mut committer = Committer { connection, head, clock, audience };
        let thread =
            std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || committer.work(queue))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `work` in a commit and answers when that is durable. The commit happens, as a whole or not at all, whether or
    /// not anybody waits for the answer.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Request { work: Some(work), value: None, reply };
        let jobs = self.jobs.as_ref().ok_or_else(|| unavailable("the store is closed"))?;
        jobs.send(Box::new(job)).await.map_err(|_| unavailable("the store is closed"))?;
        answer.await.map_err(|_| unknown("the store was closed in the middle of the request"))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook; here is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

/// Something to do within a commit. A trait and no enum, since each kind of request has its own kind of answer.
trait Job: Send {
    fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), Failure>;

    fn answer(self: Box<Self>, outcome: Result<(), PortError>);
}

struct Request<T, F> {
    work: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, PortError>>,
}

impl<T, F> Job for Request<T, F>
where
    T: Send,
    F: FnOnce(&mut Unit<'_>) -> Result<T, Failure> + Send,
{
    fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), Failure> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(unit)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), PortError>) {
        let Self { value, reply, .. } = *self;
        // Nobody may be waiting any more.
        let _ = reply.send(outcome.and_then(|()| value.ok_or_else(|| unavailable("the request was not run"))));
    }
}

type Done = (Box<dyn Job>, Result<(), PortError>);

struct Committer {
    connection: SqliteConnection,
    head: Head,
    clock: Arc<StoreClock>,
    audience: Audience,
}

impl Committer {
    fn work(&mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = queue.blocking_recv() {
            self.commit(first, &mut queue);
        }
        let top = self.audience.top.load(Ordering::Acquire);
        if let Err(error) = leave_mark(&mut self.connection, top, self.head.position) {
            tracing::warn!(%error, "the next process will take everything for published");
        }
    }

    fn commit(&mut self, first: Box<dyn Job>, queue: &mut mpsc::Receiver<Box<dyn Job>>) {
        if let Err(error) = self.connection.batch_execute("BEGIN IMMEDIATE") {
            let Failure(error) = error.into();
            self.audience.failing.store(true, Ordering::Relaxed);
            return first.answer(Err(error));
        }
        let before = self.head.clone();
        let mut news = News::default();
        let mut done: Vec<Done> = Vec::new();
        let broken = self.run_all(first, queue, &mut news, &mut done).err();
        let has_facts = !news.records.is_empty();
        if has_facts {
            failpoints::pass(Point::StoreBeforeCommit);
        }
        let failed = match broken {
            // SQLite has lost the transaction, or is about to.
            Some(error) => Some((error, false)),
            None => self.connection.batch_execute("COMMIT").err().map(|error| (error, true)),
        };
        let Some((error, committing)) = failed else {
            if has_facts {
                failpoints::pass(Point::StoreCommitted);
            }
            self.audience.tell(news);
            for (job, outcome) in done {
                job.answer(outcome);
            }
            if self.audience.log.committed() {
                checkpoint::finish(&mut self.connection);
            }
            return;
        };
        tracing::error!(%error, requests = done.len(), "a commit failed and was rolled back");
        self.audience.failing.store(true, Ordering::Relaxed);
        // May fail: on some errors SQLite has rolled back by itself.
        let _ = self.connection.batch_execute("ROLLBACK");
        self.head = before;
        let text = error.to_string();
        for (job, _) in done {
            // When the disk failed under a commit, its frames may lie in the log nevertheless: after a crash before the
            // next commit they would count.
            let error =
                if committing && text.contains("I/O") { unknown(text.clone()) } else { unavailable(text.clone()) };
            job.answer(Err(error));
        }
    }

    /// Runs `first` and what else waits. An error means that the transaction as a whole cannot be committed.
    fn run_all(
        &mut self,
        first: Box<dyn Job>,
        queue: &mut mpsc::Receiver<Box<dyn Job>>,
        news: &mut News,
        done: &mut Vec<Done>,
    ) -> diesel::QueryResult<()> {
        let started = Instant::now();
        let mut next = Some(first);
        while let Some(mut job) = next {
            let outcome = self.run_one(job.as_mut(), news);
            let (outcome, broken) = match outcome {
                Ok(outcome) => (outcome, None),
                Err(error) => (Ok(()), Some(error)),
            };
            done.push((job, outcome));
            if let Some(error) = broken {
                return Err(error);
            }
            let more = done.len() < MOST_REQUESTS && started.elapsed() < LONGEST;
            next = if more { queue.try_recv().ok() } else { None };
        }
        Ok(())
    }

    /// Runs one request; what it did is undone when it fails.
    fn run_one(&mut self, job: &mut dyn Job, news: &mut News) -> diesel::QueryResult<Result<(), PortError>> {
        self.connection.batch_execute("SAVEPOINT request")?;
        let before = self.head.clone();
        let mut own = News::default();
        let mut unit =
            Unit { connection: &mut self.connection, clock: &self.clock, head: &mut self.head, news: &mut own };
        let result = catch_unwind(AssertUnwindSafe(|| job.run(&mut unit))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(refused(format!("the decision panicked: {text}")))
        });
        match result {
            Ok(()) => {
                self.connection.batch_execute("RELEASE request")?;
                news.records.append(&mut own.records);
                news.appended |= own.appended;
                if let Some(at) = own.armed {
                    news.arm(at);
                }
                Ok(Ok(()))
            }
            Err(Failure(error)) => {
                self.head = before;
                if matches!(error, PortError::Unavailable { .. }) {
                    self.audience.failing.store(true, Ordering::Relaxed);
                }
                self.connection.batch_execute("ROLLBACK TO request; RELEASE request")?;
                Ok(Err(error))
            }
        }
    }
}
