//! Commands as bytes and back: `[total][command length][command][payload]`, lengths as four bytes, big-endian.

use prost::Message as _;
use pulsar::message::proto::BaseCommand;
use pulsar::message::proto::base_command::Type;

/// The most bytes that a frame may have beyond `max_message_size`; the broker's own allowance.
const FRAME_PADDING: usize = 10 * 1024;

/// A command of a kind, with its part filled in.
pub fn command(kind: Type, fill: impl FnOnce(&mut BaseCommand)) -> BaseCommand {
    let mut made = BaseCommand { r#type: kind as i32, ..BaseCommand::default() };
    fill(&mut made);
    made
}

/// The bytes of a command and of what follows it.
pub fn frame(command: &BaseCommand, payload: &[u8]) -> Vec<u8> {
    let length = command.encoded_len();
    let mut bytes = Vec::with_capacity(8 + length + payload.len());
    bytes.extend_from_slice(&((4 + length + payload.len()) as u32).to_be_bytes());
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    command.encode(&mut bytes).expect("a Vec grows");
    bytes.extend_from_slice(payload);
    bytes
}

/// Puts frames together from whatever a socket gives.
#[derive(Debug)]
pub struct Frames {
    bytes: Vec<u8>,
    largest: usize,
}

impl Frames {
    /// For messages of at most so many bytes.
    pub fn new(max_message_size: usize) -> Frames {
        Frames { bytes: Vec::new(), largest: max_message_size + FRAME_PADDING }
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, `None` where more must be read; an error in words where this is no frame.
    pub fn take(&mut self) -> Result<Option<(BaseCommand, Vec<u8>)>, String> {
        let Some(total) = self.number(0) else { return Ok(None) };
        if !(4..=self.largest).contains(&total) {
            return Err(format!("a frame of {total} bytes"));
        }
        if self.bytes.len() < 4 + total {
            return Ok(None);
        }
        let length = self.number(4).filter(|length| *length <= total - 4).ok_or("a command longer than its frame")?;
        let command = BaseCommand::decode(&self.bytes[8..8 + length]).map_err(|e| e.to_string())?;
        let payload = self.bytes[8 + length..4 + total].to_vec();
        self.bytes.drain(..4 + total);
        Ok(Some((command, payload)))
    }

    fn number(&self, at: usize) -> Option<usize> {
        let four = self.bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize)
    }
}
