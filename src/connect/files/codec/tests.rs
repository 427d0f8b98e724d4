use std::io::Write;

use proptest::prelude::*;

use super::*;

/// Packs as another implementation would.
fn pack(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Null => bytes.to_vec(),
        Codec::Deflate => {
            let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            out.write_all(bytes).expect("memory takes all");
            out.finish().expect("memory takes all")
        }
        Codec::Snappy => {
            let mut out = snap::raw::Encoder::new().compress_vec(bytes).expect("it is short enough");
            out.extend_from_slice(&crc32fast::hash(bytes).to_be_bytes());
            out
        }
        Codec::Bzip2 => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            out.write_all(bytes).expect("memory takes all");
            out.finish().expect("memory takes all")
        }
        Codec::Xz => {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 9);
            out.write_all(bytes).expect("memory takes all");
            out.finish().expect("memory takes all")
        }
        Codec::Zstandard => zstd::stream::encode_all(bytes, 3).expect("memory takes all"),
    }
}

fn some_bytes() -> Vec<u8> {
    (0..3_000_u32).flat_map(|i| (i * i / 7).to_le_bytes()).collect()
}

#[test]
fn every_codec_gives_back_what_was_packed() {
    for (name, codec) in NAMES {
        assert_eq!(Codec::named(name.as_bytes()), Ok(codec));
        for bytes in [Vec::new(), vec![7], some_bytes(), vec![0; 300_000]] {
            assert_eq!(codec.unpack(pack(codec, &bytes)), Ok(bytes), "{name}");
        }
    }
}

#[test]
fn an_unknown_codec_is_named_beside_those_there_are() {
    let problem = Codec::named(b"lz4").expect_err("there is none");
    assert!(
        problem.contains("\"lz4\"") && problem.contains("null, deflate, snappy, bzip2, xz, zstandard"),
        "{problem}"
    );
}

#[test]
fn a_bomb_is_an_error() {
    let bomb = vec![0; ENTRY_BYTES_MAX + 1];
    for (name, codec) in NAMES {
        let problem = codec.unpack(pack(codec, &bomb)).expect_err(name);
        assert!(problem.contains("unpacks to more than"), "{name}: {problem}");
        assert!(codec.unpack(pack(codec, &bomb[1..])).is_ok(), "{name}: one byte less is allowed");
    }
}

#[test]
fn cut_off_or_extended_data_is_an_error() {
    let bytes = some_bytes();
    for (name, codec) in NAMES.into_iter().filter(|(_, codec)| *codec != Codec::Null) {
        let packed = pack(codec, &bytes);
        let cuts = (0..packed.len()).filter(|len| *len < 64 || *len > packed.len() - 64 || len % 97 == 0);
        for len in cuts {
            assert!(codec.unpack(packed[..len].to_vec()).is_err(), "{name} cut to {len} of {} bytes", packed.len());
        }
        let mut longer = packed;
        longer.extend_from_slice(&[1, 2, 3]);
        assert!(codec.unpack(longer).is_err(), "{name} with bytes behind it");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(stored in proptest::collection::vec(any::<u8>(), 0..400)) {
        for (_, codec) in NAMES {
            let _ = codec.unpack(stored.clone());
        }
    }
}
