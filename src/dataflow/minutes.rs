//! The books of slot 0 on minutes: what was given away to be folded into them, and what their rows come to.

use std::collections::BTreeMap;

use super::build::Job;
use super::edges::MinuteLine;
use super::read::Folded;
use crate::aggregate::record;
use crate::mutation::mutated;
use crate::snapshot::{OpenMinute, lane};
use crate::time::{Epoch, Minute};

/// What is known of minutes that no commit has told of.
#[derive(Default)]
pub(super) struct Minutes {
    /// Events of minutes that are open at the newest commit, by minute and lane.
    open: BTreeMap<(Minute, u32), u64>,
    /// What came for commits ahead, by stamp.
    folded: BTreeMap<Epoch, Vec<Folded>>,
    written: BTreeMap<Epoch, Vec<MinuteLine>>,
}

impl Minutes {
    /// What the manifest that a run begins with says is open. One of a format that did not say it is followed by its partials: what
    /// was lost before is not seen, what is lost from here on is.
    pub fn restored(job: &Job) -> Self {
        let mut minutes = Minutes::default();
        match &job.resume.manifest.open {
            Some(_) if mutated!(OpenMinutesForgotten) => {}
            Some(open) => open.iter().for_each(|open| minutes.add(open.minute, open.lane, open.events)),
            None => {
                for partial in record::records(&job.resume.partials) {
                    let lane = lane(record::hash(partial), job.plan.lanes);
                    minutes.add(record::minute(partial), lane, job.plan.layout.events_of(partial));
                }
            }
        }
        minutes
    }

    fn add(&mut self, minute: Minute, lane: u32, events: u64) {
        *self.open.entry((minute, lane)).or_default() += events;
    }

    /// What slots gave away before a cut.
    pub fn folded(&mut self, stamp: Epoch, folded: &mut Vec<Folded>) {
        self.folded.entry(stamp).or_default().append(folded);
    }

    /// What rows come to that are in the sink.
    pub fn written(&mut self, stamp: Epoch, lines: &[MinuteLine]) {
        self.written.entry(stamp).or_default().extend_from_slice(lines);
    }

    /// A line for each minute and lane that this commit closes. Minutes past it stay open.
    pub fn close(&mut self, commit: Epoch) -> Vec<MinuteLine> {
        for folded in up_to(&mut self.folded, commit).into_values().flatten() {
            self.add(folded.minute, folded.lane, folded.events);
        }
        let later = self.open.split_off(&(commit + 1, 0));
        let line =
            |((minute, lane), events)| ((minute, lane), MinuteLine { minute, lane, events, ..MinuteLine::default() });
        let mut lines: BTreeMap<(Minute, u32), MinuteLine> =
            std::mem::replace(&mut self.open, later).into_iter().map(line).collect();
        for written in up_to(&mut self.written, commit).into_values().flatten() {
            let MinuteLine { minute, lane, .. } = written;
            let line = lines.entry((minute, lane)).or_insert(MinuteLine { minute, lane, ..MinuteLine::default() });
            line.rows += written.rows;
            line.counted += written.counted;
            line.hash = line.hash.wrapping_add(written.hash);
        }
        lines.into_values().collect()
    }

    /// What is open after the newest commit that was closed.
    pub fn open(&self) -> Vec<OpenMinute> {
        self.open.iter().map(|(&(minute, lane), &events)| OpenMinute { minute, lane, events }).collect()
    }
}

/// Takes out what is stamped up to an epoch.
pub(super) fn up_to<T>(map: &mut BTreeMap<Epoch, T>, epoch: Epoch) -> BTreeMap<Epoch, T> {
    let later = map.split_off(&(epoch + 1));
    std::mem::replace(map, later)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(minute: Minute, lane: u32, events: u64) -> Folded {
        Folded { minute, lane, events }
    }

    fn written(minute: Minute, lane: u32, rows: u64, counted: u64, hash: u64) -> MinuteLine {
        MinuteLine { minute, lane, events: 0, rows, counted, hash }
    }

    #[test]
    fn a_commit_tells_of_the_minutes_up_to_it_and_of_what_was_stamped_up_to_it() {
        let mut minutes = Minutes::default();
        minutes.folded(4, &mut vec![folded(5, 0, 3), folded(8, 1, 2)]);
        minutes.folded(5, &mut vec![folded(5, 0, 4), folded(5, 1, 1)]);
        minutes.folded(6, &mut vec![folded(7, 0, 9)]);
        minutes.written(5, &[written(5, 0, 2, 7, u64::MAX), written(5, 1, 1, 1, 6)]);
        let lines = minutes.close(5);
        assert_eq!(
            lines,
            [
                MinuteLine { minute: 5, lane: 0, events: 7, rows: 2, counted: 7, hash: u64::MAX },
                MinuteLine { minute: 5, lane: 1, events: 1, rows: 1, counted: 1, hash: 6 },
            ]
        );
        assert_eq!(minutes.open(), [OpenMinute { minute: 8, lane: 1, events: 2 }]);
        minutes.written(8, &[written(7, 0, 1, 9, 1), written(7, 0, 1, 0, u64::MAX)]);
        let lines = minutes.close(8);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], MinuteLine { minute: 7, lane: 0, events: 9, rows: 2, counted: 9, hash: 0 });
        assert_eq!(
            lines[1],
            MinuteLine { minute: 8, lane: 1, events: 2, ..MinuteLine::default() },
            "its rows were lost"
        );
        assert_eq!(minutes.open(), []);
    }
}
