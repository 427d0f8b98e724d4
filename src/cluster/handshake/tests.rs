use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;

use proptest::prelude::*;

use super::*;

fn secret(text: &str) -> Secret {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("it can be written");
    Secret::read(file.path()).expect("it is long enough")
}

fn hello() -> Hello {
    let identity = Identity::of("build", "plan");
    Hello { kind: Kind::Data, from: 2, to: 1, processes: 3, workers: 4, run: 77, identity }
}

type Dialled = Result<(u64, Verdict), Broken>;
type Listened = Result<(Hello, Verdict), Broken>;

fn meet(dials: &Secret, listens: &Secret, verdict: Verdict) -> (Dialled, Listened) {
    let (mut one, mut other) = UnixStream::pair().expect("a pair of sockets");
    let (dials, listens) = (dials.clone(), listens.clone());
    let side = thread::spawn(move || {
        let done = dial(&mut one, &hello(), &dials);
        drop(one);
        done
    });
    let listened = listen(&mut other, 99, &listens, |_| verdict);
    drop(other);
    (side.join().expect("it does not panic"), listened)
}

#[test]
fn two_that_know_the_secret_learn_of_each_other() {
    for secret in [secret("a secret of a cluster"), Secret::none()] {
        for verdict in [Verdict::Welcome, Verdict::Wait("later".into()), Verdict::Refused("another plan".into())] {
            let (dialled, listened) = meet(&secret, &secret, verdict.clone());
            assert_eq!(dialled.expect("it comes to a verdict"), (99, verdict.clone()));
            assert_eq!(listened.expect("it comes to a verdict"), (hello(), verdict));
        }
    }
}

#[test]
fn another_secret_is_noticed_on_the_side_that_dials_first_and_gives_no_verdict() {
    let (dialled, listened) = meet(&secret("a secret of a cluster"), &secret("another of the kind"), Verdict::Welcome);
    assert!(matches!(dialled, Err(Broken::Secret)), "{dialled:?}");
    assert!(matches!(listened, Err(Broken::Io(_))), "{listened:?}");
}

/// A client that knows no secret cannot answer the challenge, not even with the challenge's own tag or one of an earlier meeting.
#[test]
fn a_client_that_guesses_repeats_or_mirrors_is_turned_away_before_it_is_judged() {
    let known = secret("a secret of a cluster");
    let mut earlier = None;
    for mirror in [false, true, false] {
        let (mut client, mut server) = UnixStream::pair().expect("a pair of sockets");
        let known = known.clone();
        let side = thread::spawn(move || listen(&mut server, 5, &known, |_| panic!("it must not be judged")));
        client.write_all(&[hello().encode().as_slice(), &[7; NONCE_BYTES]].concat()).expect("it is read");
        let challenge: [u8; 16 + NONCE_BYTES + TAG_BYTES] = take(&mut client).expect("it is answered");
        let tag = if mirror {
            &challenge[16 + NONCE_BYTES..]
        } else {
            earlier.as_ref().map_or(&[0; TAG_BYTES][..], |e: &Vec<u8>| e)
        };
        client.write_all(tag).expect("it is read");
        assert!(matches!(side.join().expect("it does not panic"), Err(Broken::Secret)));
        earlier = Some(challenge[16 + NONCE_BYTES..].to_vec());
    }
}

/// A port may be another program's, or, where it is one of those that connections are given, this very connection's other end.
#[test]
fn who_listens_but_is_no_minuet_is_not_taken_for_one_with_another_secret() {
    for said in [vec![b'x'; 200], [hello().encode().as_slice(), &[7; 2 * NONCE_BYTES]].concat()] {
        let (mut client, mut server) = UnixStream::pair().expect("a pair of sockets");
        server.write_all(&said).expect("a small write fits the socket");
        assert!(matches!(dial(&mut client, &hello(), &Secret::none()), Err(Broken::Babble)));
    }
}

#[test]
fn a_long_reason_is_cut() {
    let (dialled, _) = meet(&Secret::none(), &Secret::none(), Verdict::Refused("x".repeat(REASON_BYTES_MAX * 2)));
    assert_eq!(dialled.expect("it comes to a verdict").1, Verdict::Refused("x".repeat(REASON_BYTES_MAX)));
}

#[test]
fn a_hello_survives_its_bytes_and_only_its_own() {
    let bytes = hello().encode();
    assert_eq!(Hello::decode(&bytes), Some(hello()));
    let mut other = bytes;
    other[7] ^= 1;
    assert_eq!(Hello::decode(&other), None, "another version");
    let mut other = bytes;
    other[15] = 9;
    assert_eq!(Hello::decode(&other), None, "an unknown kind");
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_error_and_are_never_judged(bytes in prop::collection::vec(any::<u8>(), 0..400), cut: bool) {
        let (mut client, mut server) = UnixStream::pair().expect("a pair of sockets");
        let start = if cut { hello().encode().to_vec() } else { Vec::new() };
        client.write_all(&[start, bytes].concat()).expect("a small write fits the socket");
        client.shutdown(Shutdown::Write).expect("it is open");
        let done = listen(&mut server, 5, &Secret::none(), |_| panic!("it must not be judged"));
        prop_assert!(done.is_err());
    }

    #[test]
    fn a_listener_may_say_anything(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (mut client, mut server) = UnixStream::pair().expect("a pair of sockets");
        server.write_all(&bytes).expect("a small write fits the socket");
        server.shutdown(Shutdown::Write).expect("it is open");
        prop_assert!(dial(&mut client, &hello(), &Secret::none()).is_err());
    }
}
