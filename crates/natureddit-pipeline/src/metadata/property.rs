//! Properties of artifacts, executions and contexts: values in ML Metadata's columns.
//!
//! PostgreSQL's tables of ML Metadata have 32-bit whole numbers and an index over texts that takes 2.7 kB: there a larger
//! number is a double, which is exact up to 2^53, and a longer text goes on in properties `<name>.1`, `<name>.2`.

use std::collections::BTreeMap;

use super::db::{Arg, Db};
use crate::artifact::{ArtifactId, ExecutionId, PropertyValue};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The longest text in one property of a PostgreSQL store, in bytes.
const POSTGRES_TEXT_BYTES_MAX: usize = 2_000;

/// Whose properties.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Artifact(ArtifactId),
    Execution(ExecutionId),
    Context(i64),
}

impl Owner {
    fn id(self) -> i64 {
        match self {
            Self::Artifact(id) => id.0,
            Self::Execution(id) => id.0,
            Self::Context(id) => id,
        }
    }

    fn insert(self) -> &'static str {
        match self {
            Self::Artifact(_) => {
                "INSERT INTO ArtifactProperty (artifact_id, name, is_custom_property, int_value, double_value, \
                 string_value) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
            }
            Self::Execution(_) => {
                "INSERT INTO ExecutionProperty (execution_id, name, is_custom_property, int_value, double_value, \
                 string_value) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
            }
            Self::Context(_) => {
                "INSERT INTO ContextProperty (context_id, name, is_custom_property, int_value, double_value, \
                 string_value) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
            }
        }
    }

    fn select(self) -> &'static str {
        match self {
            Self::Artifact(_) => {
                "SELECT name, CAST(int_value AS BIGINT), double_value, string_value FROM ArtifactProperty \
                 WHERE artifact_id = $1"
            }
            Self::Execution(_) => {
                "SELECT name, CAST(int_value AS BIGINT), double_value, string_value FROM ExecutionProperty \
                 WHERE execution_id = $1"
            }
            Self::Context(_) => {
                "SELECT name, CAST(int_value AS BIGINT), double_value, string_value FROM ContextProperty \
                 WHERE context_id = $1"
            }
        }
    }
}

/// Adds a property; one of that name stays as it is.
pub(super) async fn insert(db: &mut Db, owner: Owner, name: &str, custom: bool, value: &PropertyValue) -> Result<()> {
    if let (Db::Postgres(_), PropertyValue::Text(text)) = (&*db, value) {
        let mut pieces = pieces(text, POSTGRES_TEXT_BYTES_MAX).into_iter();
        let first = PropertyValue::from(pieces.next().unwrap_or_default());
        insert_row(db, owner, name, custom, &first).await?;
        for (at, piece) in pieces.enumerate() {
            // Only the first piece is the declared property; a type declares no others.
            insert_row(db, owner, &format!("{name}.{}", at + 1), true, &piece.into()).await?;
        }
        return Ok(());
    }
    insert_row(db, owner, name, custom, value).await
}

async fn insert_row(db: &mut Db, owner: Owner, name: &str, custom: bool, value: &PropertyValue) -> Result<()> {
    let [int, double, text] = columns(value, matches!(db, Db::Postgres(_)));
    db.execute(owner.insert(), [owner.id().into(), name.into(), custom.into(), int, double, text]).await
}

/// The value in the columns `int_value`, `double_value`, `string_value`.
fn columns(value: &PropertyValue, is_postgres: bool) -> [Arg; 3] {
    let (int, double, text) = match value {
        PropertyValue::Int(value) if is_postgres && i32::try_from(*value).is_err() => (None, Some(*value as f64), None),
        PropertyValue::Int(value) => (Some(*value), None, None),
        PropertyValue::Double(value) => (None, Some(*value), None),
        PropertyValue::Text(value) => (None, None, Some(value.clone())),
    };
    [Arg::Int(int), Arg::Double(double), Arg::Text(text)]
}

/// A text in pieces of at most so many bytes, at least one.
fn pieces(text: &str, bytes_max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > bytes_max {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(bytes_max));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// All properties.
pub(super) async fn properties(db: &mut Db, owner: Owner) -> Result<BTreeMap<String, PropertyValue>> {
    type Cells = (String, Option<i64>, Option<f64>, Option<String>);
    let rows: Vec<Cells> = db.rows(owner.select(), [owner.id().into()]).await?;
    let value = |(name, int, double, text): Cells| {
        let value = int.map(PropertyValue::Int).or(double.map(PropertyValue::Double));
        Some((name, value.or(text.map(PropertyValue::Text))?))
    };
    let properties = rows.into_iter().filter_map(value).collect();
    Ok(if matches!(db, Db::Postgres(_)) { joined(properties) } else { properties })
}

/// Puts the pieces of long texts together.
fn joined(mut properties: BTreeMap<String, PropertyValue>) -> BTreeMap<String, PropertyValue> {
    let names: Vec<String> = properties.keys().cloned().collect();
    for name in names {
        for at in 1.. {
            let piece = format!("{name}.{at}");
            let Some(PropertyValue::Text(more)) = properties.get(&piece).cloned() else { break };
            let Some(PropertyValue::Text(text)) = properties.get_mut(&name) else { break };
            text.push_str(&more);
            properties.remove(&piece);
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_long_text_survives_its_pieces(text in "[aé€😀]{0,60}", bytes_max in 4_usize..9) {
            let pieces = pieces(&text, bytes_max);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= bytes_max));
            let name = |at: usize| if at == 0 { "x".to_owned() } else { format!("x.{at}") };
            let rows = pieces.iter().enumerate().map(|(at, &piece)| (name(at), PropertyValue::from(piece)));
            prop_assert_eq!(joined(rows.collect()), BTreeMap::from([("x".to_owned(), PropertyValue::Text(text))]));
        }
    }

    #[test]
    fn a_number_that_postgresql_has_no_column_for_is_a_double() {
        let [int, double, _] = columns(&PropertyValue::Int(1 << 40), true);
        assert!(matches!((int, double), (Arg::Int(None), Arg::Double(Some(x))) if x == (1_i64 << 40) as f64));
        let [int, ..] = columns(&PropertyValue::Int(1 << 40), false);
        assert!(matches!(int, Arg::Int(Some(x)) if x == 1 << 40));
    }
}
