//! The threads that all connections of a source or a sink share.

use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};

use super::GivenUp;
use crate::error::{Error, Result};

/// How often one that waits looks whether it still has to.
const LOOK: Duration = Duration::from_millis(20);

/// A runtime that can be waited for and dropped anywhere.
pub(super) struct Tasks(Option<Runtime>);

impl Tasks {
    /// Starts so many threads under a name.
    pub(super) fn start(name: &str, threads: usize) -> Result<Self> {
        let started = Builder::new_multi_thread().worker_threads(threads.max(1)).thread_name(name).enable_all().build();
        Ok(Tasks(Some(started.map_err(|cause| Error::outside(format!("starting the threads of {name}"), cause))?)))
    }

    /// Where tasks are spawned.
    pub(super) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is taken only when dropped").handle()
    }

    /// Runs something on these threads and waits for it, on a thread of whatever kind.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        limit: Duration,
        doing: &str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        let late = || format!("not done in {} s", limit.as_secs());
        self.wait_until(doing, || (Instant::now() >= end).then(late), work)
    }

    /// The same until there is a reason to wait no longer.
    pub(super) fn wait_until<T: Send + 'static>(
        &self,
        doing: &str,
        reason: impl Fn() -> Option<String>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = mpsc::sync_channel(1);
        let task = self.handle().spawn(async move {
            // Nobody waits any more: then there is nobody to tell.
            let _ = done.send(work.await);
        });
        loop {
            match result.recv_timeout(LOOK) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(reason) = reason() {
                        task.abort();
                        return Err(Error::outside(doing, reason));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Error::outside(doing, "its task has ended")),
            }
        }
    }
}

impl Tasks {
    /// Waits here for what borrows, unless it is given up before. Never called on a thread of a runtime.
    pub(super) fn wait_here<T>(
        &self,
        doing: &str,
        given_up: &GivenUp,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let over = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if given_up() {
                    return;
                }
            }
        };
        self.handle().block_on(async {
            tokio::select! {
                biased;
                answer = work => answer,
                () = over => Err(Error::outside(doing, "the run is over, so it is not waited for").ambiguous()),
            }
        })
    }
}

impl Drop for Tasks {
    /// Waits for nothing: a runtime that is dropped inside another one must not.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_left_and_may_have_happened() {
        let tasks = Tasks::start("test", 1).unwrap();
        let over: GivenUp = std::sync::Arc::new(|| true);
        assert_eq!(tasks.wait_here("adding", &over, async { Ok(1 + 1) }).unwrap(), 2);
        let left = tasks.wait_here("sleeping", &over, async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        });
        let error = left.unwrap_err();
        assert!(error.to_string().starts_with("sleeping: the run is over"), "{error}");
        assert_eq!(error.happened, crate::error::Happened::Unknown);
    }

    #[test]
    fn it_can_be_waited_for_and_dropped_inside_of_another() {
        let outer = Builder::new_current_thread().build().unwrap();
        outer.block_on(async {
            let tasks = Tasks::start("test", 1).unwrap();
            assert_eq!(tasks.wait(Duration::from_secs(10), "adding", async { 1 + 1 }).unwrap(), 2);
            let late = tasks.wait(Duration::from_millis(10), "sleeping", async {
                tokio::time::sleep(Duration::from_secs(60)).await;
            });
            assert!(late.unwrap_err().to_string().starts_with("sleeping: not done"));
        });
    }
}
