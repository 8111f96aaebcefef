//! A record as one line of JSON: an object whose values are texts, numbers or, for what there may be several of, lists of them.

use super::{Field, MANY, MAX_FIELDS};
use serde_json::{Map, Value};

pub(super) fn read(line: &str) -> Result<Vec<Field>, String> {
    let object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    let mut fields = Vec::new();
    for (name, value) in object {
        let values = if let Value::Array(all) = value { all } else { vec![value] };
        for value in values {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                _ => return Err(format!("{name}: neither a text nor a number")),
            };
            if fields.len() == MAX_FIELDS {
                return Err(format!("more than {MAX_FIELDS} fields"));
            }
            fields.push((name.clone(), text));
        }
    }
    Ok(fields)
}

pub(super) fn write(fields: &[Field]) -> String {
    let mut object = Map::new();
    for (name, value) in fields {
        let value = Value::String(value.clone());
        if MANY.contains(&name.as_str()) {
            let list = object.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(all) = list {
                all.push(value);
            }
        } else {
            object.insert(name.clone(), value);
        }
    }
    format!("{}\n", Value::Object(object))
}
