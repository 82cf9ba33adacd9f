//! Posts and photos on disk: sources, collecting, dataset, labels.
