//! The services that give posts, one module for each, and what they share.

pub(crate) mod arctic_shift;
mod date;
pub(crate) mod oauth;
pub(crate) mod pullpush;
mod rate;
mod token;

pub(crate) use rate::RateWindow;
pub(crate) use token::Tokens;

use std::collections::BTreeMap;

/// The parameters of a query or a form.
pub(crate) type Parameters = BTreeMap<String, String>;

/// The parameter, unless it is absent or empty.
fn get<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// The items of a list with commas.
fn list(parameters: &Parameters, name: &str) -> Option<Vec<String>> {
    get(parameters, name).map(|value| value.split(',').map(str::to_owned).collect())
}
