//! Examples as a Parquet file: one row group of optional columns, compressed with Snappy.

use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::Example;
use super::columns::{COLUMNS, Cell, Column, ColumnKind, cells};

pub(super) fn to_bytes(examples: &[Example]) -> Result<Vec<u8>> {
    let fields = COLUMNS.iter().map(|column| field(column).map(Arc::new)).collect::<Result<_>>()?;
    let schema = Type::group_type_builder("examples").with_fields(fields).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    let mut columns = COLUMNS.iter().enumerate();
    while let Some(mut column) = rows.next_column()? {
        let Some((at, Column { kind, .. })) = columns.next() else { break };
        let cells = || examples.iter().map(|example| std::mem::replace(&mut cells(example)[at], Cell::Missing));
        let present: Vec<i16> = cells().map(|cell| i16::from(cell != Cell::Missing)).collect();
        match kind {
            ColumnKind::Text => {
                let values: Vec<ByteArray> = cells().filter_map(text).collect();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&present), None)?;
            }
            ColumnKind::Int => {
                let values: Vec<i64> = cells().filter_map(int).collect();
                column.typed::<Int64Type>().write_batch(&values, Some(&present), None)?;
            }
        }
        column.close()?;
    }
    rows.close()?;
    writer.into_inner()
}

fn field(column: &Column) -> Result<Type> {
    let (physical, converted) = match column.kind {
        ColumnKind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        ColumnKind::Int => (Physical::INT64, ConvertedType::NONE),
    };
    let field = Type::primitive_type_builder(column.name, physical).with_repetition(Repetition::OPTIONAL);
    field.with_converted_type(converted).build()
}

fn text(cell: Cell<'_>) -> Option<ByteArray> {
    match cell {
        Cell::Text(text) => Some(text.into_owned().into_bytes().into()),
        _ => None,
    }
}

fn int(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use natureddit_core::fs;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;
    use crate::examples::ExampleSource;

    #[test]
    fn a_missing_cell_is_null_and_equal_examples_give_equal_bytes() {
        let title = Example::title_alone("t1".parse().unwrap(), "A fox".into(), "fauna".into());
        let post = Example {
            source: ExampleSource::Post,
            width: 640,
            flair: "Wildlife".into(),
            ..Example::title_alone("p1".parse().unwrap(), String::new(), "flora".into())
        };
        let bytes = to_bytes(&[title.clone(), post.clone()]).unwrap();
        assert_eq!(to_bytes(&[title, post]).unwrap(), bytes);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        fs::write_atomic(&path, bytes).unwrap();
        let reader = SerializedFileReader::new(fs::open(&path).unwrap()).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
        let column = |name| COLUMNS.iter().position(|column| column.name == name).unwrap();
        assert_eq!(rows[0].get_string(column("title")).unwrap(), "A fox");
        assert!(rows[0].get_long(column("width")).is_err() && rows[1].get_string(column("title")).is_err(), "{rows:?}");
        let numbers = ["width", "over_18"].map(|name| rows[1].get_long(column(name)).unwrap());
        assert_eq!(numbers, [640, 0]);
        assert_eq!(rows[1].get_string(column("flair")).unwrap(), "Wildlife");
    }
}
