//! What must be known of an S3 beside its address.

use std::path::PathBuf;
use std::str::FromStr;

/// How S3 is reached and what it is told. Credentials are none of it: they come from the environment, a profile, a web identity or
/// the machine's role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A server other than Amazon's.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path of a URL and not before its host.
    pub path_style: bool,
    /// The bucket's region; what the environment or the profile says unless given.
    pub region: Option<String>,
    /// A PEM file of the roots to believe within TLS; the system's unless given.
    pub roots: Option<PathBuf>,
    /// How S3 encrypts what it stores.
    pub encryption: Encryption,
}

/// How S3 encrypts what it stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    None,
    /// With keys of S3.
    Aes256,
    /// With a key of the key management: this one, or the account's.
    Kms(Option<String>),
}

impl FromStr for Encryption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Encryption::None),
            "AES256" => Ok(Encryption::Aes256),
            "aws:kms" => Ok(Encryption::Kms(None)),
            _ => match text.strip_prefix("aws:kms:").filter(|key| is_key(key)) {
                Some(key) => Ok(Encryption::Kms(Some(key.to_owned()))),
                None => Err(format!("{text:?} is no encryption; allowed are none, AES256, aws:kms and aws:kms:KEY_ID")),
            },
        }
    }
}

/// Whether a text may be the id, the alias or the ARN of a key.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_:/".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encryption_is_one_of_a_few() {
        assert_eq!("none".parse(), Ok(Encryption::None));
        assert_eq!("AES256".parse(), Ok(Encryption::Aes256));
        assert_eq!("aws:kms".parse(), Ok(Encryption::Kms(None)));
        let key = "arn:aws:kms:eu-central-1:1:key/1-a";
        assert_eq!(format!("aws:kms:{key}").parse(), Ok(Encryption::Kms(Some(key.into()))));
        for text in ["", "aes256", "aws:kms:", "aws:kms:a b", "kms"] {
            let error = text.parse::<Encryption>().expect_err(text);
            assert!(error.contains("aws:kms:KEY_ID"), "{error}");
        }
    }
}
