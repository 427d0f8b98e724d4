//! The reader's defaults, which stand in for fields that the writer's schema lacks.
//!
//! A default is JSON as the Avro specification has it for the field's type; bytes are a string of the code points 0 to 255.

use apache_avro::Schema;
use serde_json::Value as Json;

use super::decode::unscaled;
use super::names::describe;
use super::program::{Builder, small};
use super::resolve::{Target, time_unit};
use super::steps::Step;
use crate::time::minute_of;

/// The step that gives a default, which is not null, to a target.
pub(super) fn constant(json: &Json, reader: &Schema, target: Target, builder: &mut Builder) -> Result<Step, String> {
    let words = words(json, reader)?;
    match target {
        Target::Field(slot) => {
            let wide = matches!(reader, Schema::Decimal(_));
            Ok(Step::Constant { slot, constant: builder.constant(words), wide })
        }
        Target::Source => match reader {
            Schema::Enum(_) => Ok(Step::SourceConstant { constant: builder.constant(words), symbol: true }),
            Schema::Int | Schema::Long => Ok(Step::SourceConstant { constant: builder.constant(words), symbol: false }),
            other => Err(format!("its default cannot be a source, for it is {}", describe(other))),
        },
        Target::Time => {
            let millis = time_unit(reader)?.to_millis(words[0].cast_signed());
            if minute_of(millis).is_none() {
                return Err(format!("its default {json} is no event time: it is not from 1970 to 2106"));
            }
            Ok(Step::TimeConstant { constant: builder.constant([millis.cast_unsigned(), 0]) })
        }
    }
}

/// The words of a row that a default stands for.
fn words(json: &Json, reader: &Schema) -> Result<[u64; 2], String> {
    let wrong = || format!("its default {json} is not {}", describe(reader));
    let low = match reader {
        Schema::Double => json.as_f64().filter(|value| value.is_finite()).ok_or_else(wrong)?.to_bits(),
        Schema::Float => {
            let value = f64::from(json.as_f64().ok_or_else(wrong)? as f32);
            if !value.is_finite() {
                return Err(wrong());
            }
            value.to_bits()
        }
        Schema::Int | Schema::Date | Schema::TimeMillis => {
            let value = json.as_i64().and_then(|value| i32::try_from(value).ok()).ok_or_else(wrong)?;
            i64::from(value).cast_unsigned()
        }
        Schema::Boolean => u64::from(json.as_bool().ok_or_else(wrong)?),
        Schema::Enum(symbols) => {
            let symbol = json.as_str().ok_or_else(wrong)?;
            let index = symbols.symbols.iter().position(|known| known == symbol).ok_or_else(wrong)?;
            u64::from(small(index))
        }
        Schema::Decimal(_) => {
            let bytes: Option<Vec<u8>> =
                json.as_str().ok_or_else(wrong)?.chars().map(|point| u8::try_from(u32::from(point)).ok()).collect();
            let value = bytes.as_deref().and_then(unscaled).ok_or_else(wrong)?.cast_unsigned();
            return Ok([value as u64, (value >> 64) as u64]);
        }
        Schema::String | Schema::Uuid(_) => match json.as_str() {
            Some("") => 0,
            Some(_) => {
                return Err(format!(
                    "its default {json} cannot stand in, for a row's texts are parts of the event; null and the empty text are allowed"
                ));
            }
            None => return Err(wrong()),
        },
        // All that is left of the usable types are longs.
        _ => json.as_i64().ok_or_else(wrong)?.cast_unsigned(),
    };
    Ok([low, 0])
}
