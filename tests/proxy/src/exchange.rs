//! One client's connection: requests and answers in turn, and what is done to them.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::faults::{Fault, Outcome};
use crate::message::{Body, Broken, Head, Passage};
use crate::proxy::Shared;

/// How often an idle connection looks whether the other side, or the proxy, has ended.
const TICK: Duration = Duration::from_millis(20);

/// How long a server may leave a client that waits for its 100 without one; clients send the body by themselves then.
const CONTINUE: Duration = Duration::from_secs(1);

const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 19\r\nConnection: close\r\n\r\nservice unavailable";

/// Both ends of a connection that is passed on.
struct Link {
    socket: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Link {
    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let reader = BufReader::new(socket.try_clone()?);
        Ok(Link { socket, reader })
    }

    /// The other side sees an error, and not an orderly end.
    fn reset(&self) {
        // A socket that is closed already needs no reset.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Whether something can be read, or the end, within a time.
    fn stirs(&mut self, within: Duration) -> io::Result<bool> {
        self.socket.set_read_timeout(Some(within))?;
        let found = match self.reader.fill_buf() {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        };
        self.socket.set_read_timeout(None)?;
        found
    }
}

/// What comes after a request.
enum Next {
    /// Another one, perhaps.
    Request,
    /// Nothing: both connections end.
    End,
    /// Nothing: the client's is reset. The server's just ends, so that all that was passed on arrives.
    Reset,
}

/// A client's connection.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    client: Link,
    server: Option<Link>,
    number: u64,
}

impl Exchange {
    pub(crate) fn new(shared: Arc<Shared>, client: TcpStream, number: u64) -> io::Result<Self> {
        shared.register(number, &client)?;
        Ok(Exchange { shared, client: Link::new(client)?, server: None, number })
    }

    /// Serves the client until one of the three has enough.
    pub(crate) fn run(mut self) {
        let reset = loop {
            match self.request() {
                Ok(Next::Request) => {}
                Ok(Next::End) => break false,
                Ok(Next::Reset) | Err(_) => break true,
            }
        };
        if reset {
            self.client.reset();
        }
        self.shared.forget(self.number);
    }

    fn request(&mut self) -> io::Result<Next> {
        while !self.client.stirs(TICK)? {
            // A client with an idle connection is to see the server's end as it would without a proxy.
            if !self.shared.holds(self.number)
                || self.server.as_mut().is_some_and(|server| server.stirs(TICK).unwrap_or(true))
            {
                return Ok(Next::End);
            }
        }
        let Some(head) = Head::read(&mut self.client.reader)? else { return Ok(Next::End) };
        let (number, fault) = self.shared.book().enter(&head);
        let (outcome, next) = match fault {
            None => self.pass(&head),
            Some(fault) => (Outcome::Fault(fault), self.fail(&head, fault)),
        };
        self.shared.book().end(number, outcome);
        Ok(next)
    }

    fn fail(&mut self, head: &Head, fault: Fault) -> Next {
        match fault {
            Fault::Refused => Next::Reset,
            Fault::Delayed(by) => {
                self.wait(by);
                self.pass(head).1
            }
            Fault::Lost => {
                // Where the server breaks off, there is no answer to lose, and the client sees the same.
                if let Some(answer) = self.ask(head, None) {
                    let body = answer.body_of_answer(head.method());
                    let _ = self.server.as_mut().map(|server| send(&mut server.reader, &mut io::sink(), body, None));
                }
                Next::Reset
            }
            Fault::Unavailable { after_body } => self.unavailable(head, after_body),
            Fault::Cut { after } => {
                let allowed = never_all(head.body(), after);
                if head.body() != Body::Length(0) {
                    // Whatever it was that broke, both connections end.
                    let _ = self.ask(head, Some(allowed));
                }
                Next::Reset
            }
            Fault::AnswerCut { after } => {
                self.begin_answer(head, after);
                Next::Reset
            }
            Fault::AnswerStalled { after } => {
                self.begin_answer(head, after);
                self.hold()
            }
            Fault::HalfOpen => self.hold(),
        }
    }

    /// Passes a request on, and of its answer the head and so many bytes at most.
    fn begin_answer(&mut self, head: &Head, after: u64) {
        let Some(answer) = self.ask(head, None) else { return };
        let body = answer.body_of_answer(head.method());
        // Whoever breaks off before that, the client sees no whole answer.
        if self.client.socket.write_all(answer.bytes()).is_ok()
            && let Some(server) = &mut self.server
        {
            let _ = send(&mut server.reader, &mut self.client.socket, body, Some(never_all(body, after)));
        }
    }

    /// Keeps the connection open, and says nothing.
    fn hold(&self) -> Next {
        while self.shared.holds(self.number) {
            thread::sleep(TICK);
        }
        Next::Reset
    }

    fn wait(&self, by: Duration) {
        let end = Instant::now() + by;
        while self.shared.holds(self.number) && Instant::now() < end {
            thread::sleep(TICK.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// Answers in the server's place.
    fn unavailable(&mut self, head: &Head, after_body: bool) -> Next {
        let body = if after_body { head.body() } else { Body::Length(0) };
        if after_body && head.waits() && self.client.socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err() {
            return Next::Reset;
        }
        if send(&mut self.client.reader, &mut io::sink(), body, None).is_err()
            || self.client.socket.write_all(UNAVAILABLE).is_err()
        {
            return Next::Reset;
        }
        self.finish();
        Next::End
    }

    /// Ends the client's connection such that it can read the answer, though it may be sending still.
    fn finish(&mut self) {
        let end = Instant::now() + CONTINUE;
        // A client that has gone has read what it wanted.
        let _ = self.client.socket.shutdown(Shutdown::Write);
        while Instant::now() < end && self.shared.holds(self.number) {
            match self.client.stirs(TICK) {
                Ok(true) if !self.client.reader.buffer().is_empty() => {
                    self.client.reader.consume(self.client.reader.buffer().len())
                }
                Ok(false) => {}
                Ok(true) | Err(_) => return,
            }
        }
    }

    fn pass(&mut self, head: &Head) -> (Outcome, Next) {
        let Some(answer) = self.ask(head, None) else { return (Outcome::Broken, Next::Reset) };
        let body = answer.body_of_answer(head.method());
        let passed = self.client.socket.write_all(answer.bytes()).is_ok()
            && self
                .server
                .as_mut()
                .is_some_and(|server| send(&mut server.reader, &mut self.client.socket, body, None).is_ok());
        if !passed {
            return (Outcome::Broken, Next::Reset);
        }
        let outcome = Outcome::Answered(answer.status());
        if head.closes() || answer.closes() || body == Body::UntilClosed {
            self.finish();
            return (outcome, Next::End);
        }
        (outcome, Next::Request)
    }

    /// Passes a request on, so many bytes of its body at most; gives the head of the answer, where one comes.
    fn ask(&mut self, head: &Head, allowed: Option<u64>) -> Option<Head> {
        if self.server.is_none() {
            let socket = TcpStream::connect(self.shared.server()).ok()?;
            self.shared.register(self.number, &socket).ok()?;
            self.server = Some(Link::new(socket).ok()?);
        }
        let server = self.server.as_mut()?;
        server.socket.write_all(head.bytes()).ok()?;
        if head.waits() && server.stirs(CONTINUE).ok()? {
            let answer = Head::read(&mut server.reader).ok()??;
            if answer.status() != 100 {
                return Some(answer.before_body());
            }
            self.client.socket.write_all(answer.bytes()).ok()?;
        }
        match send(&mut self.client.reader, &mut server.socket, head.body(), allowed) {
            // A server that wants no more of the body may have said why.
            Ok(()) | Err(Broken::To) => {}
            Err(Broken::From | Broken::Cut) => return None,
        }
        loop {
            let answer = Head::read(&mut server.reader).ok()??;
            if !matches!(answer.status(), 100..200) {
                return Some(answer);
            }
            self.client.socket.write_all(answer.bytes()).ok()?;
        }
    }
}

/// So many bytes of a body, but not the last one.
fn never_all(body: Body, after: u64) -> u64 {
    match body {
        Body::Length(length) => after.min(length.saturating_sub(1)),
        Body::Chunked | Body::UntilClosed => after,
    }
}

fn send(from: &mut impl BufRead, to: &mut impl Write, body: Body, allowed: Option<u64>) -> Result<(), Broken> {
    Passage { from, to, allowed }.pass(body)
}
