//! The one door out: an HTTP client with retries, limits and an address guard, and the assets it pulls and verifies.
