//! What a server says may hold what was said to it.

use std::cmp::Reverse;

use natureddit_core::Secret;

/// What is sent for a name and a password (RFC 7617): whoever has it has the password.
#[must_use]
pub fn basic_credentials(user: &str, password: &Secret) -> Secret {
    Secret::new(base64(format!("{user}:{}", password.expose()).as_bytes()))
}

/// A server's words, with `***` for each of these secrets: it may repeat who asked, and its words are shown and kept.
#[must_use]
pub fn masked(text: &str, secrets: &[Secret]) -> String {
    let mut spellings: Vec<String> = secrets.iter().flat_map(spellings).filter(|one| !one.is_empty()).collect();
    // One may be a part of another.
    spellings.sort_by_key(|spelling| Reverse(spelling.len()));
    spellings.iter().fold(text.to_owned(), |text, spelling| text.replace(spelling, "***"))
}

/// As a secret may be written where it is repeated: as it is, in JSON, and in an address.
fn spellings(secret: &Secret) -> [String; 3] {
    let plain = secret.expose();
    let json = serde_json::Value::from(plain).to_string();
    let json = json.get(1..json.len() - 1).unwrap_or_default().to_owned();
    let in_address = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    [plain.to_owned(), json, plain.bytes().map(in_address).collect()]
}

/// Base64 with padding (RFC 4648, section 4).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0_u32, |number, at| number << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * at)) as usize & 63] as char;
            text.push(if at <= three.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_repeated_secret_is_masked_however_it_is_spelled() {
        let password = secret("p\"ss wörd");
        let said = r#"p"ss wörd, {"p": "p\"ss wörd"}, ?p=p%22ss%20w%C3%B6rd, Basic YW5uOnAic3Mgd8O2cmQ="#;
        let basic = basic_credentials("ann", &password);
        assert_eq!(masked(said, &[password, basic]), r#"***, {"p": "***"}, ?p=***, Basic ***"#);
    }

    #[test]
    fn a_secret_within_another_leaves_nothing_of_it_and_an_empty_one_masks_nothing() {
        assert_eq!(masked("a token-1 b", &[secret("token"), secret("token-1"), secret("")]), "a *** b");
    }

    /// The vectors of RFC 4648, section 10.
    #[test]
    fn base64_is_as_the_standard_says() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
