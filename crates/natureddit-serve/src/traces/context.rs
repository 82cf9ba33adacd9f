//! W3C's trace context: the trace of a request, and the span of the caller that it continues.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName};
use natureddit_core::ContentHasher;
use rustls::crypto::ring;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest `tracestate` that is passed on, in bytes: what the standard asks for at least.
const STATE_BYTES_MAX: usize = 512;

/// The place of a request in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpanContext {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    /// The caller's span; `None` where the trace begins here.
    pub(super) parent: Option<[u8; 8]>,
    /// What the caller's tools know of the trace; may be empty.
    pub(super) state: String,
}

/// Hands out ids: a random seed hashed with a counter.
pub(super) struct Ids {
    seed: [u8; 32],
    next: AtomicU64,
}

impl Ids {
    /// With a seed from the system.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let mut seed = [0; 32];
        ring::default_provider().secure_random.fill(&mut seed)?;
        Ok(Self { seed, next: AtomicU64::new(0) })
    }

    /// The place of a request with these headers, where it is sampled. A caller that says whether its trace is sampled
    /// decides; of the others it is a share, by the trace's id, as OpenTelemetry's own samplers reckon it.
    pub(super) fn sampled(&self, headers: &HeaderMap, share: f64) -> Option<SpanContext> {
        let caller = Caller::read(headers);
        if caller.as_ref().is_some_and(|caller| !caller.is_sampled) {
            return None;
        }
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let hash = ContentHasher::new().part(self.seed).part(count.to_le_bytes()).finish();
        // SHA-256 has as many bytes as are asked for.
        let (trace_id, rest) = hash.as_bytes().split_first_chunk::<16>()?;
        let span_id = *rest.first_chunk::<8>()?;
        match caller {
            Some(Caller { trace_id, span_id: parent, state, .. }) => {
                Some(SpanContext { trace_id, span_id, parent: Some(parent), state })
            }
            None if is_drawn(trace_id, share) => {
                Some(SpanContext { trace_id: *trace_id, span_id, parent: None, state: String::new() })
            }
            None => None,
        }
    }
}

/// Whether a trace is among this share of all.
fn is_drawn(trace_id: &[u8; 16], share: f64) -> bool {
    let [.., a, b, c, d, e, f, g, h] = *trace_id;
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
    #[expect(clippy::cast_precision_loss, reason = "which side of the limit an id falls that is next to it is open")]
    let number = number as f64;
    share >= 1.0 || number < share * 2.0_f64.powi(63)
}

/// Who calls.
#[derive(Debug, PartialEq, Eq)]
struct Caller {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    is_sampled: bool,
    state: String,
}

impl Caller {
    /// `None` where nothing is said, or not as the standard has it: then a trace begins.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = parents.next()?.to_str().ok()?.trim();
        if parents.next().is_some() {
            return None;
        }
        let mut fields = parent.split('-');
        let [version, trace_id, span_id, flags] = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
        let [version] = hex::<1>(version)?;
        // Later versions may have more, behind another dash.
        if version == 0xff || (version == 0 && fields.next().is_some()) {
            return None;
        }
        let [flags] = hex::<1>(flags)?;
        let (trace_id, span_id) = (hex::<16>(trace_id)?, hex::<8>(span_id)?);
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self { trace_id, span_id, is_sampled: flags & 1 == 1, state: state(headers) })
    }
}

/// The `tracestate`, or nothing where it is too long or no text.
fn state(headers: &HeaderMap) -> String {
    let parts: Option<Vec<&str>> = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect();
    parts.map(|parts| parts.join(",")).filter(|state| state.len() <= STATE_BYTES_MAX).unwrap_or_default()
}

/// Exactly so many bytes, each of two digits; no capital letters, as the standard has it.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn headers(parents: &[&str]) -> HeaderMap {
        parents.iter().map(|parent| (TRACEPARENT, HeaderValue::from_str(parent).unwrap())).collect()
    }

    #[test]
    fn a_callers_trace_is_continued_as_it_says() {
        let ids = Ids::new().unwrap();
        let sampled = |parent: &str, share| ids.sampled(&headers(&[parent]), share);
        let found = sampled(&format!("00-{TRACE}-{SPAN}-01"), 0.0).unwrap();
        assert_eq!(found.trace_id[..3], [0x0a, 0xf7, 0x65]);
        assert_eq!(found.parent.map(|parent| parent[..3].to_vec()), Some(vec![0xb7, 0xad, 0x6b]));
        assert_ne!(Some(found.span_id), found.parent);
        assert_eq!(sampled(&format!("00-{TRACE}-{SPAN}-00"), 1.0), None);
        // A version to come, with more flags and more fields.
        assert!(sampled(&format!("cc-{TRACE}-{SPAN}-03-what-else"), 0.0).is_some());
    }

    #[test]
    fn what_is_no_trace_context_begins_a_trace() {
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("0x-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(Caller::read(&headers(&[&bad])), None, "{bad}");
        }
        let good = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(Caller::read(&headers(&[&good, &good])), None);
        let found = Ids::new().unwrap().sampled(&headers(&["00-x"]), 1.0).unwrap();
        assert_eq!(found.parent, None);
    }

    #[test]
    fn the_state_is_passed_on_up_to_its_limit() {
        let mut headers = headers(&[&format!("00-{TRACE}-{SPAN}-01")]);
        headers.append(TRACESTATE, HeaderValue::from_static("a=1"));
        headers.append(TRACESTATE, HeaderValue::from_static("b=2"));
        assert_eq!(Caller::read(&headers).unwrap().state, "a=1,b=2");
        headers.append(TRACESTATE, HeaderValue::from_str(&"x".repeat(STATE_BYTES_MAX)).unwrap());
        assert_eq!(Caller::read(&headers).unwrap().state, "");
    }

    #[test]
    fn a_share_of_the_traces_is_drawn_and_ids_differ() {
        let ids = Ids::new().unwrap();
        let drawn = (0..4_000).filter_map(|_| ids.sampled(&HeaderMap::new(), 0.25)).collect::<Vec<_>>();
        assert!((800..1_200).contains(&drawn.len()), "{} of 4,000", drawn.len());
        let distinct: std::collections::BTreeSet<_> = drawn.iter().map(|it| (it.trace_id, it.span_id)).collect();
        assert_eq!(distinct.len(), drawn.len());
        assert!(ids.sampled(&HeaderMap::new(), 0.0).is_none() && ids.sampled(&HeaderMap::new(), 1.0).is_some());
        assert!(is_drawn(&[0xff; 16], 1.0) && !is_drawn(&[0; 16], 0.0));
    }
}
