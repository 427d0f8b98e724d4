//! The least rights that a state needs, as a policy of AWS.

use serde_json::{Value, json};

use super::{Address, Encryption};

/// The policy that allows what minuet does at this address, and no more.
pub fn policy(address: &Address, encryption: &Encryption) -> Value {
    let Address { bucket, prefix } = address;
    let mut statements = vec![
        json!({
            "Sid": "MinuetList",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": format!("arn:aws:s3:::{bucket}"),
            "Condition": { "StringLike": { "s3:prefix": format!("{prefix}/*") } },
        }),
        json!({
            "Sid": "MinuetObjects",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": format!("arn:aws:s3:::{bucket}/{prefix}/*"),
        }),
    ];
    if let Encryption::Kms(Some(key)) = encryption {
        let key = if key.starts_with("arn:") { key.clone() } else { format!("arn:aws:kms:*:*:{}", resource(key)) };
        statements.push(json!({
            "Sid": "MinuetKey",
            "Effect": "Allow",
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            "Resource": key,
        }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// A key's id or alias as the end of an ARN.
fn resource(key: &str) -> String {
    if key.starts_with("alias/") { key.to_owned() } else { format!("key/{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_prefix_and_the_key_are_allowed() {
        let address: Address = "s3://abc/team/minuet".parse().unwrap();
        let plain = policy(&address, &Encryption::Aes256);
        let statements = plain["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 2);
        assert_eq!(statements[0]["Condition"]["StringLike"]["s3:prefix"], "team/minuet/*");
        assert_eq!(statements[1]["Resource"], "arn:aws:s3:::abc/team/minuet/*");
        let key = |key: &str| policy(&address, &Encryption::Kms(Some(key.into())))["Statement"][2]["Resource"].clone();
        assert_eq!(key("1-a"), "arn:aws:kms:*:*:key/1-a");
        assert_eq!(key("alias/mine"), "arn:aws:kms:*:*:alias/mine");
        assert_eq!(key("arn:aws:kms:x:1:key/1-a"), "arn:aws:kms:x:1:key/1-a");
    }
}
