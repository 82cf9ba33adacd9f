//! How the settings name an encoder.

use std::path::{Path, PathBuf};

/// An encoder as the settings name it.
///
/// | text | means |
/// |---|---|
/// | `efficientnet_lite0` | weights that this program pins by their hash |
/// | `microsoft/resnet-18`, `microsoft/resnet-18@main` | a repository of the Hugging Face hub, and a branch, tag or commit of it |
/// | `./encoders/resnet-18`, `/encoders/resnet-18` | a folder with `config.json` and weights |
/// | `random:resnet-18?seed=1` | random weights that follow from a seed |
///
/// Options stand behind a `?`, with `&` between them: `seed`, and for text `pooling` (`mean`, `cls` or `pooler`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderSpec {
    /// The text: what the encoder is called in reports and manifests.
    pub name: String,
    /// Where it comes from.
    pub source: EncoderSource,
    /// What becomes of the tokens' vectors, of text encoders that are built here.
    pub pooling: TextPooling,
}

/// Where an encoder comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncoderSource {
    /// It has a name: that of pinned weights, or one that the settings give to an ONNX file.
    Named(String),
    /// The Hugging Face hub, or a mirror of it.
    Hub {
        /// `owner/name`.
        repo: String,
        /// A branch, tag or commit.
        revision: String,
    },
    /// A folder.
    Folder(PathBuf),
    /// Random weights.
    Random {
        /// The name of the network.
        architecture: String,
        /// What the weights follow from.
        seed: u64,
    },
}

/// What becomes of the vectors of a title's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextPooling {
    /// Their mean, brought to length 1: of an encoder that is not trained further it tells more than the first one.
    #[default]
    Mean,
    /// The vector of `[CLS]`.
    Cls,
    /// `pooler_output`: the vector of `[CLS]` through the layer that was trained for it, and tanh.
    Pooler,
}

impl EncoderSpec {
    /// What the text names; a relative folder starts at `root`.
    ///
    /// # Errors
    /// What the text must be.
    pub fn parse(text: &str, root: &Path) -> Result<Self, String> {
        let (place, options) = text.split_once('?').unwrap_or((text, ""));
        let random = place.strip_prefix("random:");
        let mut pooling = None;
        let mut seed = None;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("pooling", "mean")) => pooling = Some(TextPooling::Mean),
                Some(("pooling", "cls")) => pooling = Some(TextPooling::Cls),
                Some(("pooling", "pooler")) => pooling = Some(TextPooling::Pooler),
                Some(("seed", digits)) if random.is_some() => {
                    seed = Some(digits.parse().map_err(|_| format!("a whole number where it says seed={digits}"))?);
                }
                _ => {
                    return Err(format!(
                        "without the option {option:?}: seed=NUMBER is one of random weights, pooling=mean, cls or pooler one of text"
                    ));
                }
            }
        }
        let source = match random {
            Some(architecture) => {
                EncoderSource::Random { architecture: architecture.to_owned(), seed: seed.unwrap_or(0) }
            }
            None => source(place, root)?,
        };
        Ok(Self { name: text.to_owned(), source, pooling: pooling.unwrap_or_default() })
    }
}

fn source(place: &str, root: &Path) -> Result<EncoderSource, String> {
    let is_folder = place.starts_with(['/', '.']) || Path::new(place).is_absolute();
    if is_folder && !place.contains('\0') {
        return Ok(EncoderSource::Folder(root.join(place)));
    }
    let (repo, revision) = place.split_once('@').unwrap_or((place, "main"));
    let plain = |name: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain)
    };
    match repo.split('/').collect::<Vec<_>>()[..] {
        [name] if plain(name) && repo == place => Ok(EncoderSource::Named(name.to_owned())),
        [owner, name] if plain(owner) && plain(name) && plain(revision) => {
            Ok(EncoderSource::Hub { repo: repo.to_owned(), revision: revision.to_owned() })
        }
        _ => Err("the name of an encoder, \"owner/name\" of the Hugging Face hub, a folder that begins with \"./\" or \"/\", \
                  or \"random:NETWORK?seed=NUMBER\""
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<EncoderSpec, String> {
        EncoderSpec::parse(text, Path::new("/project"))
    }

    #[test]
    fn each_form_is_told_by_how_it_looks() {
        let source = |text| parse(text).unwrap().source;
        let hub =
            |repo: &str, revision: &str| EncoderSource::Hub { repo: repo.to_owned(), revision: revision.to_owned() };
        let random = |architecture: &str, seed| EncoderSource::Random { architecture: architecture.to_owned(), seed };
        assert_eq!(source("efficientnet_lite0"), EncoderSource::Named("efficientnet_lite0".to_owned()));
        assert_eq!(source("microsoft/resnet-18"), hub("microsoft/resnet-18", "main"));
        assert_eq!(source("microsoft/resnet-18@a1b2"), hub("microsoft/resnet-18", "a1b2"));
        assert_eq!(source("./encoders/r"), EncoderSource::Folder("/project/encoders/r".into()));
        assert_eq!(source("../r"), EncoderSource::Folder("/project/../r".into()));
        assert_eq!(source("/encoders/r?pooling=cls"), EncoderSource::Folder("/encoders/r".into()));
        assert_eq!(source("random:resnet-18?seed=7"), random("resnet-18", 7));
        assert_eq!(source("random:resnet-18"), random("resnet-18", 0));
    }

    #[test]
    fn options_are_read_and_the_name_keeps_them() {
        let spec = parse("prajjwal1/bert-tiny?pooling=cls").unwrap();
        assert_eq!((spec.pooling, spec.name.as_str()), (TextPooling::Cls, "prajjwal1/bert-tiny?pooling=cls"));
        assert_eq!(parse("random:bert-tiny?seed=1&pooling=pooler").unwrap().pooling, TextPooling::Pooler);
        assert_eq!(parse("prajjwal1/bert-tiny").unwrap().pooling, TextPooling::Mean);
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for text in ["", "a/b/c", "https://example.org/a/b", "a b", "a/..", "name@rev", "microsoft/resnet-18@../x"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("microsoft/resnet-18?seed=1").unwrap_err().contains("seed=1"));
        assert!(parse("random:resnet-18?seed=one").unwrap_err().contains("a whole number"));
        assert!(parse("random:bert-tiny?pooling=max").unwrap_err().contains("pooling=max"));
    }
}
