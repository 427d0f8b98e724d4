//! Where a state is in S3: `s3://BUCKET/PREFIX`.

use std::fmt;
use std::str::FromStr;

use crate::connect::object_name::is_part;
use crate::limits::S3_PREFIX_BYTES_MAX;

const ALLOWED: &str = "allowed is s3://BUCKET/PREFIX";

/// A bucket, and what all names in it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The bucket.
    pub bucket: String,
    /// Parts joined by `/`, without one at either end.
    pub prefix: String,
}

impl Address {
    /// The key of an object of this name.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("s3://").ok_or(ALLOWED)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let inside = |c: char| plain(c) || c == '-' || c == '.';
        let ends = bucket.starts_with(plain) && bucket.ends_with(plain);
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(inside) || !ends {
            return Err(format!(
                "{bucket:?} is no bucket: 3 to 63 lowercase letters, digits, - and ., a letter or digit at both ends; {ALLOWED}"
            ));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if prefix.is_empty() {
            return Err(format!(
                "{text:?} has no prefix: a state takes a folder of its own, so that nothing else is touched; {ALLOWED}"
            ));
        }
        if prefix.len() > S3_PREFIX_BYTES_MAX || !prefix.split('/').all(is_part) {
            return Err(format!(
                "{prefix:?} is no prefix: parts of letters, digits, and - _ . = joined by / can be, {S3_PREFIX_BYTES_MAX} bytes in \
                 all; {ALLOWED}"
            ));
        }
        Ok(Address { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown() {
        for (text, bucket, prefix) in
            [("s3://abc/x", "abc", "x"), ("s3://my.bucket-1/team/minuet_v=2/", "my.bucket-1", "team/minuet_v=2")]
        {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.bucket.as_str(), address.prefix.as_str()), (bucket, prefix));
            assert_eq!(address.to_string().parse(), Ok(address.clone()));
            assert_eq!(address.key("p/parts/a"), format!("{prefix}/p/parts/a"));
        }
    }

    #[test]
    fn what_is_no_address_is_told_what_is() {
        let long = format!("s3://abc/{}", "x".repeat(S3_PREFIX_BYTES_MAX + 1));
        for (text, reason) in [
            ("", "allowed is s3://BUCKET/PREFIX"),
            ("s3:abc/x", "allowed is"),
            ("https://abc/x", "allowed is"),
            ("s3://", "\"\" is no bucket"),
            ("s3://ab/x", "no bucket"),
            ("s3://Abc/x", "no bucket"),
            ("s3://a_b_c/x", "no bucket"),
            ("s3://-abc/x", "no bucket"),
            ("s3://abc.:9000/x", "no bucket"),
            ("s3://abc", "has no prefix"),
            ("s3://abc/", "has no prefix"),
            ("s3://abc//", "no prefix"),
            ("s3://abc/x//y", "no prefix"),
            ("s3://abc/../y", "no prefix"),
            ("s3://abc/x y", "no prefix"),
            (&long, "400 bytes"),
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
