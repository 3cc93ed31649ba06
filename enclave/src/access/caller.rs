//! The extractor of callers: no handler gets one without credentials, and no handler reads a header for them.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;

use super::{Access, Caller};
use crate::identity::{Authenticated, Error, Identity};
use crate::problem::Problem;

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Access>: FromRef<S>,
    Arc<Identity>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let access = Arc::<Access>::from_ref(state);
        if let Some(who) = parts.extensions.get::<Authenticated>() {
            return Ok(access.caller(*who)?);
        }
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(Error::Unauthenticated.into()) };
        let identity = Arc::<Identity>::from_ref(state);
        let used = identity.authenticate_bearer(value.as_bytes())?;
        identity.touch_bearer(&used).await?;
        Ok(access.caller(used.who)?)
    }
}
