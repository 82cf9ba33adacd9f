//! Gathering series for Prometheus: the labels that say whose they are are added when they are read, so that counting knows
//! nothing of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{Counter, Gauge, Histogram, HistogramOpts, IntCounter, Opts, TextEncoder};

/// The content type of what [`Exposition::text`] gives, as TorchServe says it.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Families of series by name.
#[derive(Default)]
pub(super) struct Exposition {
    families: BTreeMap<String, MetricFamily>,
}

impl Exposition {
    /// Adds what was counted, with these labels behind its own.
    pub(super) fn add(&mut self, counted: &dyn Collector, labels: &[(&str, &str)]) {
        for mut family in counted.collect() {
            for metric in family.mut_metric() {
                let mut own = metric.take_label();
                own.extend(labels.iter().map(|(name, value)| {
                    let mut label = LabelPair::default();
                    label.set_name((*name).to_owned());
                    label.set_value((*value).to_owned());
                    label
                }));
                metric.set_label(own);
            }
            match self.families.entry(family.name().to_owned()) {
                Entry::Vacant(place) => drop(place.insert(family)),
                Entry::Occupied(mut known) => known.get_mut().mut_metric().append(family.mut_metric()),
            }
        }
    }

    /// Adds a gauge that has this value now.
    pub(super) fn add_now(&mut self, (name, help): (&str, &str), value: f64, labels: &[(&str, &str)]) {
        let gauge = gauge(name, help);
        gauge.set(value);
        self.add(&gauge, labels);
    }

    /// Keeps only families of these names; with no names all of them.
    pub(super) fn only(&mut self, names: &[String]) {
        self.families.retain(|family, _| names.is_empty() || names.iter().any(|name| name == family));
    }

    /// In the text format 0.0.4.
    ///
    /// # Errors
    /// For a family without series, of which there is none here.
    pub(super) fn text(self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.families.into_values().collect::<Vec<_>>())
    }
}

/// A number of things, as Prometheus has numbers.
#[expect(clippy::cast_precision_loss, reason = "there are no 2^52 of anything that is counted here")]
pub(super) fn number(of: usize) -> f64 {
    of as f64
}

/// A counter of events.
pub(super) fn count(name: &str, help: &str, label: Option<(&str, &str)>) -> IntCounter {
    constant(IntCounter::with_opts(options(name, help, label)))
}

/// A counter of something that comes in fractions.
pub(super) fn sum(name: &str, help: &str) -> Counter {
    constant(Counter::with_opts(options(name, help, None)))
}

/// A value that goes up and down.
pub(super) fn gauge(name: &str, help: &str) -> Gauge {
    constant(Gauge::with_opts(options(name, help, None)))
}

/// A distribution over buckets with these upper bounds.
pub(super) fn histogram(name: &str, help: &str, bounds: &[f64], label: Option<(&str, &str)>) -> Histogram {
    let common_opts = options(name, help, label);
    constant(Histogram::with_opts(HistogramOpts { common_opts, buckets: bounds.to_vec() }))
}

fn options(name: &str, help: &str, label: Option<(&str, &str)>) -> Opts {
    label.into_iter().fold(Opts::new(name, help), |options, (name, value)| options.const_label(name, value))
}

#[expect(clippy::unreachable, reason = "only a name that Prometheus does not allow fails, and all are constants here")]
fn constant<T>(made: prometheus::Result<T>) -> T {
    made.unwrap_or_else(|error| unreachable!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_one_family_and_names_choose() {
        let mut exposition = Exposition::default();
        for model in ["a", "b\"\n"] {
            let counter = count("things_total", "things", Some(("kind", "x")));
            counter.inc();
            exposition.add(&counter, &[("model", model)]);
        }
        exposition.add_now(("other", "another"), 0.5, &[]);
        exposition.only(&["things_total".to_owned()]);
        let expected = "# HELP things_total things\n# TYPE things_total counter\n\
                        things_total{kind=\"x\",model=\"a\"} 1\nthings_total{kind=\"x\",model=\"b\\\"\\n\"} 1\n";
        assert_eq!(exposition.text().unwrap(), expected);
    }
}
