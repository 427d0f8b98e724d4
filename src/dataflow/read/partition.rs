//! One partition as it is read: entry by entry, each event folded or counted with its reason.

use std::fmt;
use std::sync::Arc;

use super::super::batch::Batch;
use super::super::edges::{Entry, Framing, Reject, Writer};
use super::super::flush::Rejected;
use super::tally::Tally;
use crate::aggregate::{hash_source, record};
use crate::error::{Error, Result};
use crate::event::{Malformed, ReadPlan, Reason, Row, Source};
use crate::limits::{REJECT_PAYLOAD_BYTES_MAX, REJECTS_KEPT_PER_MINUTE, UNREADABLE_EVENTS_MAX};
use crate::mutation::mutated;
use crate::plan::Plan;
use crate::snapshot::{PartitionCut, RejectsKept, Unreadable};
use crate::time::{Millis, Minute, PartitionStart, Watermark, minute_of};

/// Minutes of a day.
const MINUTES_OF_DAY: Minute = 24 * 60;

/// A partition and where it stands.
pub(super) struct PartitionState {
    plan: Arc<Plan>,
    /// The source's bytes for each symbol, where the source is an enum.
    symbols: Arc<[Vec<u8>]>,
    /// Which of the selected fields are texts.
    texts: Arc<[TextAt]>,
    watermark: Watermark,
    row: Option<Row>,
    /// What a cut taken now says.
    pub cut: PartitionCut,
}

/// A text among the selected fields: its bit in the presence mask and its word.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextAt {
    pub bit: u32,
    pub word: usize,
}

/// Where read puts what it makes of entries.
pub(super) struct Made {
    pub events: Batch,
    pub tally: Tally,
    pub rejects: Vec<Rejected>,
}

/// One entry on its way through.
struct Pass<'a> {
    entry: &'a Entry,
    /// Minutes before this one are closed for the partition.
    floor: Minute,
    /// The largest event time so far.
    latest: Option<Millis>,
    made: &'a mut Made,
}

/// Why an event does not count.
enum Why {
    Malformed(Malformed),
    /// Its entry cannot be read.
    Unreadable(Arc<str>),
    /// The first minute that was open for its partition.
    Late(Minute),
    /// By how much.
    TooFarAhead(Millis),
}

impl Why {
    fn name(&self) -> &'static str {
        match self {
            Why::Malformed(_) | Why::Unreadable(_) => "malformed",
            Why::Late(_) => "late",
            Why::TooFarAhead(_) => "too_far_ahead",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Malformed(malformed) => malformed.fmt(f),
            Why::Unreadable(why) => f.write_str(why),
            Why::Late(floor) => write!(f, "minute {floor} was the first one open"),
            Why::TooFarAhead(ahead) => write!(f, "{ahead} ms after its publish time"),
        }
    }
}

impl PartitionState {
    pub fn new(plan: Arc<Plan>, symbols: Arc<[Vec<u8>]>, texts: Arc<[TextAt]>, cut: PartitionCut) -> Self {
        let watermark = Watermark::new(plan.out_of_order, cut.max_time);
        PartitionState { plan, symbols, texts, watermark, row: None, cut }
    }

    /// The minute of its watermark.
    pub fn minute(&self) -> Option<Minute> {
        self.watermark.minute()
    }

    /// Where it stands when a slot begins.
    pub fn start(&self) -> PartitionStart {
        PartitionStart { partition: self.cut.partition, minute: self.minute(), ended: self.cut.ended }
    }

    /// Reads a whole entry, without a plan where its events cannot be read. Events before `floor` are late: it is decided at the
    /// start of the entry, never by where a thread stopped.
    pub fn take_in(&mut self, entry: &Entry, reader: Option<&ReadPlan>, floor: Minute, made: &mut Made) -> Result<()> {
        let mut pass = Pass { entry, floor, latest: None, made };
        match reader {
            Some(reader) => self.read(reader, &mut pass)?,
            None => self.refuse(&mut pass)?,
        }
        self.cut.position = Some(if mutated!(CutWithoutLastEntry) { entry.position } else { entry.next });
        Ok(())
    }

    /// Counts the events of an entry that nobody can read. One such entry is a reject; a topic of them is a mistake to be mended. The count
    /// is in the cut, so a run that is started again and again has no more of them; a new day by the partition's watermark has.
    fn refuse(&mut self, pass: &mut Pass<'_>) -> Result<()> {
        let Writer::Unreadable(why) = &pass.entry.writer else { return Ok(()) };
        let Framing::Payloads(spans) = &pass.entry.framing else {
            return Err(Error::bug(format!("{}: an unreadable entry has no payloads", self.cut.name)));
        };
        for (index, span) in (0..).zip(spans) {
            let payload = pass.entry.payload(*span).unwrap_or_default();
            self.reject(&Why::Unreadable(Arc::clone(why)), payload, index, 1, pass);
        }
        let day = self.minute().unwrap_or(0) / MINUTES_OF_DAY;
        let before = Some(self.cut.unreadable).filter(|unreadable| unreadable.day == day).map_or(0, |it| it.events);
        let events = before + spans.len() as u64;
        self.cut.unreadable = Unreadable { day, events };
        if events <= UNREADABLE_EVENTS_MAX {
            return Ok(());
        }
        Err(Error::data(format!(
            "{}: {events} events of one day could not be read, at most {UNREADABLE_EVENTS_MAX} may be; the newest, of the entry at {:?}: \
             {why}",
            self.cut.name, pass.entry.position
        )))
    }

    fn read(&mut self, reader: &ReadPlan, pass: &mut Pass<'_>) -> Result<()> {
        let entry = pass.entry;
        let mut row = self.row.take().unwrap_or_else(|| reader.row());
        match &entry.framing {
            Framing::Payloads(spans) => {
                for (index, span) in (0..).zip(spans) {
                    let payload = entry
                        .payload(*span)
                        .ok_or_else(|| Error::bug(format!("{}: a payload lies outside its entry", self.cut.name)))?;
                    match reader.decode_whole(payload, &mut row) {
                        Ok(()) => self.settle(payload, index, &mut row, pass),
                        Err(malformed) => self.reject(&Why::Malformed(malformed), payload, index, 1, pass),
                    }
                }
            }
            Framing::Run(events) => self.take_run(*events, reader, &mut row, pass)?,
        }
        self.watermark.observe_entry(pass.latest);
        self.row = Some(row);
        self.cut.max_time = self.watermark.max_time();
        Ok(())
    }

    /// Events without frames: after one whose end cannot be found, nobody knows where the next begins.
    fn take_run(&mut self, events: u32, reader: &ReadPlan, row: &mut Row, pass: &mut Pass<'_>) -> Result<()> {
        let mut left = pass.entry.bytes.as_slice();
        for index in 0..events {
            match reader.decode(left, row) {
                Ok(len) => {
                    let (payload, rest) = left.split_at(len);
                    self.settle(payload, index, row, pass);
                    left = rest;
                }
                Err(malformed) => match reader.length(left) {
                    Ok(len) => {
                        let (payload, rest) = left.split_at(len);
                        self.reject(&Why::Malformed(malformed), payload, index, 1, pass);
                        left = rest;
                    }
                    Err(_) => {
                        self.reject(&Why::Malformed(malformed), left, index, 1, pass);
                        let unread = u64::from(events - index - 1);
                        if unread > 0 {
                            let cut = Malformed { reason: Reason::BlockCut, at: 0 };
                            self.reject(&Why::Malformed(cut), &[], index + 1, unread, pass);
                        }
                        return Ok(());
                    }
                },
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(Error::data(format!(
            "{}: the entry at {:?} holds {} bytes after its {events} events; it was written with another schema than it says",
            self.cut.name,
            pass.entry.position,
            left.len()
        )))
    }

    /// Decides what becomes of a decoded event, and sends it on where it counts.
    fn settle(&mut self, payload: &[u8], index: u32, row: &mut Row, pass: &mut Pass<'_>) {
        match self.judge(row, pass) {
            Ok(minute) => {
                self.send(payload, row, minute, pass.made);
                let counters = &mut self.cut.counters;
                counters.read += 1;
                counters.folded += 1;
                counters.nulls += u64::from(row.nulls);
                counters.non_finite += u64::from(row.non_finite);
            }
            Err(why) => self.reject(&why, payload, index, 1, pass),
        }
    }

    /// The minute of an event that counts.
    fn judge(&self, row: &mut Row, pass: &mut Pass<'_>) -> std::result::Result<Minute, Why> {
        let published = pass.entry.publish_time;
        if self.plan.selection.time.is_none() {
            row.time = published.ok_or(Why::Malformed(Malformed { reason: Reason::TimeMissing, at: 0 }))?;
        }
        let minute = minute_of(row.time).ok_or(Why::Malformed(Malformed { reason: Reason::TimeOutOfRange, at: 0 }))?;
        let ahead = published.map_or(0, |published| row.time.saturating_sub(published));
        if ahead > self.plan.max_ahead {
            return Err(Why::TooFarAhead(ahead));
        }
        pass.latest = pass.latest.max(Some(row.time));
        if mutated!(LateWithinEntry) {
            pass.floor = pass.floor.max(Watermark::new(self.plan.out_of_order, pass.latest).minute().unwrap_or(0));
        }
        if minute < pass.floor { Err(Why::Late(pass.floor)) } else { Ok(minute) }
    }

    fn send(&mut self, payload: &[u8], row: &Row, minute: Minute, made: &mut Made) {
        let integer;
        let source = match row.source {
            Source::Text(span) => &payload[span.start as usize..(span.start + span.len) as usize],
            Source::Integer(value) => {
                integer = record::integer_source(value);
                &integer
            }
            Source::Symbol(index) => self.symbols[index as usize].as_slice(),
        };
        let head = record::EventHead {
            hash: hash_source(source),
            minute,
            time: row.time,
            order: record::order(self.cut.partition, self.cut.counters.read),
            present: row.present,
        };
        let texts = self.texts.iter().filter(|text| row.present & (1 << text.bit) != 0).map(|text| {
            let span = row.words[text.word];
            let (start, len) = ((span >> 32) as usize, (span & 0xffff_ffff) as usize);
            (text.word, &payload[start..start + len])
        });
        record::write_event(&mut made.events.words, &head, &row.words, source, texts);
        made.events.records += 1;
        made.tally.count(head.hash, minute);
    }

    /// Counts events that do not count, and keeps the first few of a minute with their reason.
    fn reject(&mut self, why: &Why, payload: &[u8], index: u32, events: u64, pass: &mut Pass<'_>) {
        let counters = &mut self.cut.counters;
        counters.read += events;
        match why {
            Why::Malformed(_) | Why::Unreadable(_) => counters.malformed += events,
            Why::Late(_) => counters.late += events,
            Why::TooFarAhead(_) => counters.too_far_ahead += events,
        }
        if !self.within_budget() {
            return;
        }
        let reject = Reject {
            reason: why.name(),
            detail: if events > 1 { format!("{why}, and the next {} events", events - 1) } else { why.to_string() },
            partition: self.cut.name.clone(),
            position: pass.entry.position,
            index,
            payload: payload[..payload.len().min(REJECT_PAYLOAD_BYTES_MAX)].to_vec(),
        };
        pass.made.rejects.push(Rejected { partition: self.cut.partition, reject });
    }

    /// The budget goes by the minute of the partition's own watermark, so that which rejects are kept is a function of its log.
    fn within_budget(&mut self) -> bool {
        let minute = self.minute().unwrap_or(0);
        let kept = &mut self.cut.rejects_kept;
        if kept.minute != minute {
            *kept = RejectsKept { minute, count: 0 };
        }
        let within = kept.count < REJECTS_KEPT_PER_MINUTE;
        kept.count += u64::from(within);
        within
    }
}

#[cfg(test)]
mod tests;
