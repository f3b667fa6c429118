//! What this guest does with an order: checks it, adds it up, and says where it goes.
//!
//! Nothing here knows of messages or of WebAssembly: it runs, and is tested, anywhere.

use serde_json::{json, Map, Value};

/// An order that was checked.
#[derive(Debug, PartialEq)]
pub struct Routed {
    /// The order's own.
    pub id: String,
    /// Where it goes.
    pub channel: String,
    /// What goes there, as JSON.
    pub data: Vec<u8>,
}

/// Checks the order in the body of a message, adds it up and says where it goes; or why it can't be used.
pub fn route(data: &[u8]) -> Result<Routed, String> {
    let order = match serde_json::from_slice(data) {
        Ok(Value::Object(order)) => order,
        _ => return Err("not an order: expected a JSON object".into()),
    };
    let id = text(&order, "id", is_id, "1 to 64 letters, digits, '.', '_' or '-'")?;
    let country = text(&order, "country", is_country, "two capital letters, as in DE")?;
    let lines = match order.get("lines") {
        Some(Value::Array(lines)) if (1..=1000).contains(&lines.len()) => lines,
        _ => return Err("lines: expected a list of 1 to 1000".into()),
    };
    let (mut items, mut cents) = (0, 0);
    for (number, line) in lines.iter().enumerate() {
        let line = line.as_object().ok_or_else(|| format!("lines[{number}]: expected an object"))?;
        let quantity = whole(line.get("quantity"), &format!("lines[{number}].quantity"), 1, 1000)?;
        cents += quantity * whole(line.get("cents"), &format!("lines[{number}].cents"), 0, 1_000_000)?;
        items += quantity;
    }
    let data = json!({"id": id, "country": country, "items": items, "cents": cents});
    let channel = format!("orders.{}", country.to_ascii_lowercase());
    Ok(Routed { id: id.into(), channel, data: data.to_string().into_bytes() })
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn text<'a>(order: &'a Map<String, Value>, name: &str, fits: fn(&str) -> bool, expected: &str) -> Result<&'a str, String> {
    match order.get(name) {
        Some(Value::String(text)) if fits(text) => Ok(text),
        _ => Err(format!("{name}: expected {expected}")),
    }
}

fn whole(value: Option<&Value>, name: &str, least: u64, most: u64) -> Result<u64, String> {
    match value.and_then(Value::as_f64) {
        Some(number) if number.fract() == 0.0 && (least as f64..=most as f64).contains(&number) => Ok(number as u64),
        _ => Err(format!("{name}: expected a whole number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each order is routed, or refused with the reason, as the table of cases says.
    #[test]
    fn each_case() {
        let table = ["cases.json", "../cases.json"].into_iter().find_map(|path| std::fs::read(path).ok()).unwrap();
        for case in serde_json::from_slice::<Vec<Value>>(&table).unwrap() {
            let routed = route(&body(&case));
            if let Some(error) = case.get("error") {
                assert_eq!(routed, Err(error.as_str().unwrap().into()), "{case}");
            } else {
                let routed = routed.expect(case["name"].as_str().unwrap());
                assert_eq!(serde_json::from_slice::<Value>(&routed.data).unwrap(), case["order"], "{case}");
                assert_eq!((&case["channel"], &case["order"]["id"]), (&routed.channel.into(), &routed.id.into()));
            }
        }
    }

    fn body(case: &Value) -> Vec<u8> {
        match case.get("hex").and_then(Value::as_str) {
            Some(hex) => (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect(),
            None => case["data"].as_str().unwrap().into(),
        }
    }
}
