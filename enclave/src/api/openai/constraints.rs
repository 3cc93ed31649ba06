//! Serving constraints of ACI (section 5.3), in the member `provider` of a request.
//!
//! Inference runs in this attested workload: `aci_verified` holds by construction, and there are no sessions to pin.

use serde_json::{Map, Value};

use crate::problem::Problem;

/// Takes the constraints out of a request.
///
/// # Errors
/// [`Problem::SessionNotAccepted`] for any well-formed list of sessions; [`Problem::InvalidRequest`] for what is not
/// well formed or not known, because a constraint must not be ignored.
pub(super) fn take(body: &mut Map<String, Value>) -> Result<(), Problem> {
    let mut provider = match body.remove("provider") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(provider)) => provider,
        Some(_) => return Err(Problem::invalid("provider")),
    };
    let verified = match provider.remove("aci_verified") {
        None => None,
        Some(Value::Bool(verified)) => Some(verified),
        Some(_) => return Err(Problem::invalid("provider.aci_verified")),
    };
    let sessions = provider.remove("aci_session_ids");
    if provider.keys().any(|name| name.starts_with("aci_")) {
        return Err(Problem::invalid("provider: an aci_ constraint that is not known"));
    }
    if !provider.is_empty() {
        return Err(Problem::invalid("provider: only the constraints of ACI are supported"));
    }
    match sessions {
        None => Ok(()),
        Some(Value::Array(ids)) if verified != Some(false) && !ids.is_empty() && ids.iter().all(is_session_id) => {
            Err(Problem::SessionNotAccepted)
        }
        Some(_) => Err(Problem::invalid("provider.aci_session_ids")),
    }
}

fn is_session_id(id: &Value) -> bool {
    id.as_str().is_some_and(|id| id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}
