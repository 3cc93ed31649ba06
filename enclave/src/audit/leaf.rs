//! The bytes of a leaf: JCS JSON, exactly as in protocols, section 8.

use serde_json::{Map, Value, json};

use super::Error;
use super::event::{Class, Event, Outcome};

/// The longest leaf, in bytes. The format allows 65,535; a leaf also has to fit a record of the store.
pub const MAX_LEAF_BYTES: usize = 60 * 1024;

/// The version of OCSF whose vocabulary the leaves use.
pub const OCSF_VERSION: &str = "1.9.0";

/// What the log knows about a leaf besides the event.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) seq: u64,
    pub(crate) time_ms: u64,
    pub(crate) boot: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) product_version: &'a str,
    /// The actor's pseudonym.
    pub(crate) actor: Option<&'a str>,
    /// The sealed personal details.
    pub(crate) p: Option<Value>,
}

/// Encodes an event.
pub(crate) fn encode(event: &Event, context: Context<'_>) -> Result<Vec<u8>, Error> {
    let mut leaf = json!({
        "v": 1,
        "seq": context.seq,
        "time": context.time_ms,
        "time_src": "host",
        "boot": context.boot,
        "tenant": context.tenant,
        "ocsf": ocsf(event, &context),
        "d": event.d,
    });
    if let (Some(p), Value::Object(leaf)) = (context.p, &mut leaf) {
        leaf.insert("p".to_owned(), p);
    }
    let bytes = serde_json_canonicalizer::to_vec(&leaf).map_err(|_| Error::Encode)?;
    if bytes.len() > MAX_LEAF_BYTES {
        return Err(Error::LeafTooLarge { size_bytes: bytes.len() });
    }
    Ok(bytes)
}

fn ocsf(event: &Event, context: &Context<'_>) -> Map<String, Value> {
    let (class, activity) = event.class.ocsf();
    let (severity, status) = match event.outcome {
        Outcome::Success => (1, 1),
        Outcome::Failure => (2, 2),
    };
    let product = json!({ "name": "Cloister", "vendor_name": "Cloister", "version": context.product_version });
    let common = json!({
        "metadata": {
            "version": OCSF_VERSION,
            "product": product,
            "event_code": event.operation,
            "tenant_uid": context.tenant,
        },
        "category_uid": class / 1000,
        "class_uid": class,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "severity_id": severity,
        "status_id": status,
        "time": context.time_ms,
    });
    let Value::Object(mut fields) = common else { return Map::new() };
    let user = context.actor.map_or_else(|| json!({ "name": "unknown" }), |uid| json!({ "uid": uid }));
    let actor =
        context.actor.map_or_else(|| json!({ "app_name": "Cloister" }), |uid| json!({ "user": { "uid": uid } }));
    // What each class requires beyond the base.
    match event.class {
        Class::Logon | Class::Logoff => {
            fields.insert("user".to_owned(), user);
            fields.insert("service".to_owned(), json!({ "name": "Cloister" }));
        }
        Class::AccountCreated | Class::PasswordChanged => {
            fields.insert("user".to_owned(), user);
        }
        Class::EntityCreated | Class::EntityUpdated | Class::EntityDeleted => {
            fields.insert("actor".to_owned(), actor);
            fields.insert("entity".to_owned(), json!({ "name": event.operation }));
        }
        Class::AccessAssigned | Class::AccessRevoked => {
            fields.insert("actor".to_owned(), actor);
            fields.insert("user".to_owned(), user);
            fields.insert("privileges".to_owned(), json!([event.operation]));
        }
        Class::ApplicationStarted | Class::ApplicationStopped | Class::ApplicationUpdated | Class::ApplicationOther => {
            fields.insert("app".to_owned(), product);
        }
        Class::ApiCreate | Class::ApiRead | Class::ApiUpdate | Class::ApiDelete => {
            fields.insert("actor".to_owned(), actor);
            fields.insert("api".to_owned(), json!({ "operation": event.operation }));
            fields.insert("src_endpoint".to_owned(), json!({ "uid": "claimed-via-proxy" }));
        }
        Class::DatastoreQuery | Class::DatastoreWrite | Class::DatastoreDelete => {
            fields.insert("actor".to_owned(), actor);
            fields.insert("databucket".to_owned(), json!({ "name": event.operation }));
            fields.insert("src_endpoint".to_owned(), json!({ "uid": "claimed-via-proxy" }));
        }
    }
    fields
}
