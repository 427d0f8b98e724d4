//! The threads that all connections of a source or a sink share.

use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};

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
