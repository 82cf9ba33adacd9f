//! Who may ask: the tokens that were given out, and the credentials they were given for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};

use crate::config::OauthConfig;

/// The tokens that were given out.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<Given>);

#[derive(Default)]
struct Given {
    count: u64,
    /// Each token with the second it ends.
    ends: BTreeMap<String, i64>,
}

impl Tokens {
    /// A new token that ends at `end`.
    pub(crate) fn give(&self, end: i64) -> String {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.count += 1;
        let token = format!("sandbox-token-{}", given.count);
        given.ends.insert(token.clone(), end);
        token
    }

    /// Whether the request brings a token that holds.
    pub(crate) fn accept(&self, headers: &HeaderMap, now: i64) -> bool {
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let token = authorization(headers, "bearer");
        token.and_then(|token| given.ends.get(token)).is_some_and(|&end| now < end)
    }

    /// Makes every token worthless, as a change of the secret does.
    pub(crate) fn revoke_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ends.clear();
    }
}

/// What stands behind the scheme in the header.
fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

/// Whether the request brings the app's id with its secret, or with none if `installed`.
pub(super) fn is_known_app(headers: &HeaderMap, config: &OauthConfig, installed: bool) -> bool {
    let secret = if installed { "" } else { config.client_secret.as_str() };
    let expected = base64(format!("{}:{secret}", config.client_id).as_bytes());
    authorization(headers, "basic") == Some(&expected)
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0u32, |number, &byte| number << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_standard_says() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        assert!(cases.iter().all(|(plain, coded)| base64(plain.as_bytes()) == *coded));
    }

    #[test]
    fn a_token_ends_in_its_second() {
        let tokens = Tokens::default();
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {}", tokens.give(1_000)).parse().unwrap());
        assert!(tokens.accept(&headers, 999) && !tokens.accept(&headers, 1_000));
        tokens.revoke_all();
        assert!(!tokens.accept(&headers, 999));
    }
}
