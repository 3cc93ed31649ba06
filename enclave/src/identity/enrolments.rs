//! Enrolment codes: 128 random bits that let one person set one password (C-04).

use cloister_protocol::api::{CreateEnrolment, Enrolment, Role};
use cloister_protocol::ids::EnrolmentId;

use super::records::{ENROLMENTS, EnrolmentRecord};
use super::registration::role_name;
use super::token::Token;
use super::{Error, Identity};
use crate::access::Authorized;
use crate::audit::{Class, Event};
use crate::fresh;

/// Codes that may be open at once.
const MOST_OPEN: usize = 1000;

impl Identity {
    /// Makes a code for a person to join the caller's organisation. The code is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Store`].
    pub async fn create_enrolment(&self, by: &Authorized, request: &CreateEnrolment) -> Result<Enrolment, Error> {
        let now_ms = self.now_ms();
        if self.system().list(&ENROLMENTS)?.len() >= MOST_OPEN {
            return Err(Error::Full { what: "open enrolments" });
        }
        let code = Token::<16>::generate();
        let record = EnrolmentRecord {
            id: fresh::id(EnrolmentId::from_parts, now_ms),
            org: Some(by.org()),
            role: request.role,
            created_by: Some(by.person()),
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(self.settings.member_enrolment_ms),
        };
        let mut batch = self.system().batch();
        batch.put(&ENROLMENTS, &code.digest().key(), &record);
        let mut tenant = self.store.scope(by.scope()).batch();
        tenant.audit(
            by.event(Class::AccessAssigned, "enrolment.create")
                .detail("enrolment", record.id.to_string())
                .detail("role", role_name(record.role)),
        );
        batch.join(tenant);
        batch.commit().await?;
        Ok(Enrolment { id: record.id, code: code.expose(), role: record.role, expires_ms: record.expires_ms })
    }

    /// Makes the code that founds the organisation, if there is none yet. A code made at an earlier start no longer works:
    /// only the newest link is good.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn first_owner_code(&self) -> Result<Option<Enrolment>, Error> {
        if self.tenancy.is_founded()? {
            return Ok(None);
        }
        let now_ms = self.now_ms();
        let system = self.system();
        let mut batch = system.batch();
        for (key, record) in system.list(&ENROLMENTS)? {
            if record.org.is_none() {
                batch.delete(&ENROLMENTS, &key);
            }
        }
        let code = Token::<16>::generate();
        let record = EnrolmentRecord {
            id: fresh::id(EnrolmentId::from_parts, now_ms),
            org: None,
            role: Role::Owner,
            created_by: None,
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(self.settings.owner_enrolment_ms),
        };
        batch.put(&ENROLMENTS, &code.digest().key(), &record);
        batch.audit(
            Event::new(Class::AccessAssigned, "enrolment.create")
                .detail("enrolment", record.id.to_string())
                .detail("role", role_name(record.role)),
        );
        batch.commit().await?;
        Ok(Some(Enrolment { id: record.id, code: code.expose(), role: record.role, expires_ms: record.expires_ms }))
    }
}
